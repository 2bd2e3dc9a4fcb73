using TraceDistill.Models;
using TraceDistill.Models.Passes;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Teaching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

// C = tokens of a chunk, D = hidden, V = vocabulary, M = teachers

/// <summary>Several teachers' view of a batch, which becomes one distribution a chunk at a time.</summary>
/// <param name="panel">The teachers.</param>
/// <param name="models">Hidden states of those that are models, in their order.</param>
public sealed class PanelStates(TeacherPanel panel, IReadOnlyList<TeacherStates> models)
{
    double[] _sums = []; // tokens, the gate's loss, M weights, the gate's gradient

    /// <summary>Runs the models over a batch, without a graph.</summary>
    /// <param name="panel">The teachers.</param>
    /// <param name="decoders">Of its models, on a thread of their own.</param>
    /// <param name="tokens">The batch.</param>
    public static PanelStates Of(TeacherPanel panel, IReadOnlyList<Decoder> decoders, TokenBatch tokens)
    {
        using var noGrad = no_grad();
        return new PanelStates(panel, [.. decoders.Select(decoder => new TeacherStates(decoder, decoder.Forward(tokens)))]);
    }

    /// <param name="targets">[C] with the drawn tokens.</param>
    /// <param name="batch">With the stored soft targets.</param>
    /// <param name="first">First token of the chunk.</param>
    /// <param name="hidden">[C, D] of the student.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="policy">What is taken of the distribution.</param>
    /// <param name="keys">[C] where each token's stream of random numbers starts.</param>
    public TargetRows Targets(
        TargetRows targets,
        PackedBatch batch,
        int first,
        Tensor hidden,
        long vocabulary,
        TargetPolicy policy,
        ReadOnlySpan<ulong> keys
    )
    {
        using var noGrad = no_grad();
        Tensor[] logits = [.. models.Select(model => model.Logits(first, targets.Rows).to(hidden.device))];
        var rows = PanelRows.Of(batch, first, targets.Rows, panel.Members, logits, vocabulary, hidden.device);
        var inputs = panel.Gate is null ? null : TeacherGate.Inputs(hidden, TeacherMixture.Confidence(rows), TeacherMixture.Entropy(rows));
        var mixture = new TeacherMixture(rows, panel.Average, panel.Rule, inputs is null ? null : panel.Gate!.Scores(inputs));
        Add(rows, mixture, targets.Drawn, inputs);
        return targets.With(rows, mixture, vocabulary, policy, keys);
    }

    /// <summary>The sums over all chunks.</summary>
    public PanelTotals Totals()
    {
        var count = panel.Members.Count;
        return new PanelTotals(_sums[2..(2 + count)], _sums[0], _sums[1], _sums[(2 + count)..]);
    }

    void Add(PanelRows rows, TeacherMixture mixture, Tensor drawn, Tensor? inputs)
    {
        var weights = (mixture.LogWeights.exp() * rows.HasSoft.unsqueeze(1)).sum(dim: 0); // [M]
        var tokens = rows.HasSoft.sum().unsqueeze(0);
        var sums = new List<Tensor> { tokens, zeros_like(tokens), weights };
        if (inputs is not null)
        {
            var (loss, slopes) = mixture.Surprise(drawn);
            sums[1] = loss.sum().unsqueeze(0);
            sums.Add(slopes.t().matmul(inputs).flatten()); // [M · F]
        }

        var values = cat(sums, 0).cpu().data<double>();
        _sums = _sums.Length == 0 ? [.. values] : [.. _sums.Zip(values, (sum, value) => sum + value)];
    }
}
