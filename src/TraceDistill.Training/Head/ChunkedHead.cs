using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

// M = trained tokens, C = tokens of a chunk, D = hidden, V = vocabulary

/// <summary>
/// Output projection and objectives together, a chunk of trained tokens at a time: the gradient of a chunk's hidden states and
/// of the output matrix is made before the next chunk's logits, so that no [M, V] matrix exists, whatever the objectives are.
/// </summary>
public sealed class ChunkedHead(Decoder decoder)
{
    /// <summary>Logits held at once on the CPU, where the vocabulary allows it: 2¹⁹ floats are two megabytes.</summary>
    const int ChunkLogits = 1 << 19;

    /// <summary>Rows below which a chunk on the CPU would spend its time reading the output matrix.</summary>
    const int LeastRows = 128;

    /// <summary>
    /// Logits held at once, however large the vocabulary: 64 megabytes, twice that where logits have a soft cap. On other
    /// devices, where a chunk's many small operations cost more than its memory, a chunk has as many.
    /// </summary>
    const int MostLogits = 1 << 24;

    /// <summary>Apart from what dropout and NEFTune draw by.</summary>
    const int DrawPurpose = -1;

    /// <summary>Tokens of a chunk.</summary>
    /// <param name="vocabulary">V.</param>
    /// <param name="device">Where logits are computed.</param>
    internal static int RowsOf(long vocabulary, DeviceType device)
    {
        var most = Math.Max(1, MostLogits / vocabulary);
        return (int)(device == DeviceType.CPU ? Math.Min(most, Math.Max(LeastRows, ChunkLogits / vocabulary)) : most);
    }

    /// <summary>
    /// Loss of a batch and its gradient by the hidden states; adds that of the output matrix, where it is trained, to its buffer.
    /// </summary>
    /// <param name="hidden">[M, D]; its graph is not walked.</param>
    /// <param name="batch">What each token is to be.</param>
    /// <param name="objectives">The loss.</param>
    /// <param name="teacher">A model that teaches; null for soft targets of the batch alone.</param>
    /// <param name="draws">What soft targets are drawn by; null where none are.</param>
    /// <param name="panel">Several teachers in place of one; null for none.</param>
    /// <returns>[M, D] the gradient, and sums over all tokens: nothing is divided by their number.</returns>
    internal (Tensor Gradient, LossTotals Totals) ForwardBackward(
        Tensor hidden,
        PackedBatch batch,
        StepObjectives objectives,
        TeacherStates? teacher = null,
        PassNoise? draws = null,
        PanelStates? panel = null
    )
    {
        using var scope = NewDisposeScope();
        var weighted = new WeightedObjectives(objectives);
        var (states, gradient) = (hidden.detach(), empty_like(hidden).detach());
        foreach (var (first, rows) in Chunks(batch.Rows.Length))
        {
            using var chunk = NewDisposeScope();
            var x = states.narrow(0, first, rows).to(ScalarType.Float32); // [C, D]
            var targets = Targets(batch, first, rows, x, objectives, teacher, draws, panel);
            var logits = decoder.Logits(x);
            var capped = decoder.LogitSoftCap is null ? null : logits.clone(); // the rows use theirs up
            var student = StudentRows.Of(logits, targets, objectives.NeedsAllLogits);
            weighted.Evaluate(student, targets).backward();
            var slopes = student.LogitGradient(); // [C, V]
            using var noGrad = no_grad();
            if (capped is not null)
            {
                SoftCap.ApplyBack(slopes, capped, decoder.LogitSoftCap!.Value);
            }

            gradient.narrow(0, first, rows).copy_(decoder.Output.ApplyBack(slopes, x));
        }

        return (gradient.MoveToOuterDisposeScope(), weighted.Totals() with { Panel = panel?.Totals() });
    }

    TargetRows Targets(
        PackedBatch batch,
        int first,
        int rows,
        Tensor x,
        StepObjectives objectives,
        TeacherStates? teacher,
        PassNoise? draws,
        PanelStates? panel
    )
    {
        var (policy, vocabulary) = (objectives.Policy, decoder.Output.Stored.shape[0]);
        var targets = TargetRows.Of(batch, first, rows, x.device);
        if (!objectives.NeedsSoftTargets)
        {
            return targets;
        }

        ulong[] keys = draws is null ? [] : [.. Enumerable.Range(first, rows).Select(m => draws.Key(batch.Rows[m], DrawPurpose))];
        return panel is not null ? panel.Targets(targets, batch, first, x, vocabulary, policy, keys)
            : teacher is null ? targets.As(vocabulary, policy, keys)
            : targets.With(teacher.Logits(first, rows).to(x.device), vocabulary, policy, keys);
    }

    /// <summary>Calls <paramref name="visit"/> with each chunk's first token and distributions, without a gradient.</summary>
    /// <param name="teacher">A model whose distributions take the place of the batch's soft targets; null for those.</param>
    /// <param name="panel">Several teachers in place of one; null for none.</param>
    public void Visit(
        Tensor hidden,
        PackedBatch batch,
        Action<int, StudentRows, TargetRows> visit,
        TeacherStates? teacher = null,
        PanelStates? panel = null
    )
    {
        using var noGrad = no_grad();
        foreach (var (first, rows) in Chunks(batch.Rows.Length))
        {
            using var chunk = NewDisposeScope();
            var targets = TargetRows.Of(batch, first, rows, hidden.device);
            var (x, vocabulary) = (hidden.narrow(0, first, rows), decoder.Output.Stored.shape[0]);
            targets =
                panel is not null ? panel.Targets(targets, batch, first, x, vocabulary, new TargetPolicy(), [])
                : teacher is null ? targets
                : targets.With(teacher.Logits(first, rows).to(hidden.device), vocabulary, new TargetPolicy(), []);
            visit(first, StudentRows.Of(decoder.Logits(x), targets), targets);
        }
    }

    IEnumerable<(int First, int Rows)> Chunks(int count)
    {
        var most = RowsOf(decoder.Output.Stored.shape[0], decoder.Output.Stored.device_type);
        for (var first = 0; first < count; first += most)
        {
            yield return (first, Math.Min(most, count - first));
        }
    }
}
