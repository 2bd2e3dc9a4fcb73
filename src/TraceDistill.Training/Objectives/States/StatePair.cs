using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// N = tokens of all sequences, M = trained ones, S = sequences with such, D = hidden, H = heads, T = tokens of a sequence, R = trained ones

/// <summary>The states that a pass of one model has kept.</summary>
/// <param name="Shape">Of the model.</param>
/// <param name="Hidden">[N, D] by layer, or [M, D].</param>
/// <param name="Maps">[H, T, T] for each sequence, by layer.</param>
/// <param name="Values">[N, G, d] by layer.</param>
public sealed record LayerStates(
    ModelConfiguration Shape,
    IReadOnlyDictionary<int, Tensor> Hidden,
    IReadOnlyDictionary<int, IReadOnlyList<Tensor>> Maps,
    IReadOnlyDictionary<int, Tensor> Values
)
{
    /// <summary>What was kept of a pass.</summary>
    public static LayerStates Of(ModelConfiguration shape, Captured captured) =>
        new(shape, captured.HiddenStates, captured.AttentionMaps, captured.Values);

    /// <summary>The same values as leaves of a graph of their own.</summary>
    internal LayerStates Leaves() =>
        this with
        {
            Hidden = Hidden.ToDictionary(layer => layer.Key, layer => Leaf(layer.Value)),
            Maps = Maps.ToDictionary(layer => layer.Key, layer => (IReadOnlyList<Tensor>)[.. layer.Value.Select(Leaf)]),
            Values = Values.ToDictionary(layer => layer.Key, layer => Leaf(layer.Value)),
        };

    /// <summary>What was kept of a layer.</summary>
    internal IReadOnlyList<Tensor> Of(StateKind kind, int layer) =>
        kind switch
        {
            StateKind.Hidden => [Hidden[layer]],
            StateKind.AttentionMaps => Maps[layer],
            _ => [Values[layer]],
        };

    static Tensor Leaf(Tensor states) => states.detach().requires_grad_();
}

/// <summary>States of student and teacher over the same sequences, in float32 (or float64), on the student's device.</summary>
/// <param name="student">Of a pass that is differentiated.</param>
/// <param name="teacher">Of one that is not.</param>
/// <param name="batch">The sequences; the wanted tokens are the trained ones.</param>
/// <param name="teacherBatch">What the teacher read: the same completions, where its prompts may be others.</param>
/// <param name="device">The student's.</param>
/// <param name="own">The objective's own weights, by name; leaves.</param>
public sealed class StatePair(
    LayerStates student,
    LayerStates teacher,
    TokenBatch batch,
    TokenBatch teacherBatch,
    Device device,
    IReadOnlyDictionary<string, Tensor> own
)
{
    readonly int[] _trained = [.. TrainedOf(batch)];

    /// <summary>M.</summary>
    public int Tokens => batch.Outputs.Length;

    /// <summary>S.</summary>
    public int Sequences => _trained.Count(count => count > 0);

    /// <summary>Shapes of both models.</summary>
    public (ModelConfiguration Student, ModelConfiguration Teacher) Shapes => (student.Shape, teacher.Shape);

    /// <summary>One of the objective's own weights.</summary>
    public Tensor Own(string name) => own[name];

    /// <summary>One of the objective's own weights; null where it has none of the name.</summary>
    public Tensor? Find(string name) => own.GetValueOrDefault(name);

    /// <returns>[M, D] the student's states of the trained tokens.</returns>
    public Tensor Student(int layer) => Trained(student.Hidden[layer], batch);

    /// <returns>[M, D] the teacher's.</returns>
    public Tensor Teacher(int layer) => Trained(teacher.Hidden[layer], teacherBatch);

    /// <returns>For each sequence with trained tokens [H, R, T] of the student: how its trained tokens attend.</returns>
    public IEnumerable<Tensor> StudentMaps(int layer) => Queries(student.Maps[layer]);

    /// <inheritdoc cref="StudentMaps"/>
    public IEnumerable<Tensor> TeacherMaps(int layer) => Queries(teacher.Maps[layer]);

    /// <returns>For each sequence with trained tokens its values [T, G·d], and which of the tokens are trained.</returns>
    public IEnumerable<(Tensor Student, Tensor Teacher, Tensor Rows)> Values(int studentLayer, int teacherLayer)
    {
        foreach (var (sequence, first, rows) in Spans())
        {
            var length = batch.Lengths[sequence];
            yield return (
                Wide(student.Values[studentLayer].narrow(0, first, length).flatten(1)),
                Wide(teacher.Values[teacherLayer].narrow(0, first, length).flatten(1)),
                rows
            );
        }
    }

    /// <summary>Rows [M, …] a sequence with trained tokens at a time.</summary>
    public IEnumerable<Tensor> BySequence(Tensor rows)
    {
        var first = 0;
        foreach (var count in _trained.Where(count => count > 0))
        {
            yield return rows.narrow(0, first, count);
            first += count;
        }
    }

    /// <summary>Means over each sequence's trained tokens.</summary>
    /// <param name="rows">[M, D].</param>
    /// <returns>[S, D].</returns>
    public Tensor Pool(Tensor rows) => stack([.. BySequence(rows).Select(sequence => sequence.mean([0L]))]);

    Tensor Trained(Tensor states, TokenBatch read)
    {
        if (states.shape[0] == read.Outputs.Length)
        {
            return Wide(states);
        }

        using var outputs = tensor(read.Outputs, dtype: ScalarType.Int64, device: states.device);
        return Wide(states.index_select(0, outputs));
    }

    IEnumerable<Tensor> Queries(IReadOnlyList<Tensor> maps)
    {
        foreach (var (sequence, _, rows) in Spans())
        {
            var map = Wide(maps[sequence]);
            yield return map.index_select(1, rows);
        }
    }

    /// <summary>Sequences with trained tokens: index, first row and places of the trained tokens within it.</summary>
    IEnumerable<(int Sequence, int First, Tensor Rows)> Spans()
    {
        int first = 0,
            output = 0;
        for (var sequence = 0; sequence < batch.Lengths.Length; first += batch.Lengths[sequence++])
        {
            var count = _trained[sequence];
            if (count > 0)
            {
                long[] rows = [.. batch.Outputs.Skip(output).Take(count).Select(row => (long)(row - first))];
                output += count;
                yield return (sequence, first, tensor(rows, device: device));
            }
        }
    }

    Tensor Wide(Tensor states) => states.to(device).Wide();

    static IEnumerable<int> TrainedOf(TokenBatch batch)
    {
        int first = 0,
            next = 0;
        foreach (var length in batch.Lengths)
        {
            var start = next;
            for (first += length; next < batch.Outputs.Length && batch.Outputs[next] < first; next++) { }

            yield return next - start;
        }
    }
}
