using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Alignment;
using static TorchSharp.torch;

namespace TraceDistill.Training.Batching;

// M = items (texts or tokens), L = labels

/// <summary>Sequences of one task laid one after another without padding, and the labels of their items.</summary>
sealed class LabelBatch
{
    readonly int _labels;
    readonly float[] _given,
        _taught,
        _isGiven,
        _isTaught;

    LabelBatch(IReadOnlyList<TraceTokens> sequences)
    {
        (Task, Tokens) = (sequences[0].Labels!.Task, Layout(sequences));
        _labels = sequences.Select(sequence => LabelsOf(sequence.Labels!)).First(count => count > 0);
        (_given, _taught) = (new float[Items * _labels], new float[Items * _labels]);
        (_isGiven, _isTaught) = (new float[Items], new float[Items]);
        var first = 0;
        foreach (var labels in sequences.Select(sequence => sequence.Labels!))
        {
            labels.Given.CopyTo(_given, first * _labels);
            labels.Taught.CopyTo(_taught, first * _labels);
            Array.Fill(_isGiven, labels.Given.Length > 0 ? 1 : 0, first, labels.Rows.Length);
            Array.Fill(_isTaught, labels.Taught.Length > 0 ? 1 : 0, first, labels.Rows.Length);
            first += labels.Rows.Length;
        }
    }

    /// <summary>Number of the task.</summary>
    public int Task { get; }

    /// <summary>The tokens; their outputs are the items.</summary>
    public TokenBatch Tokens { get; }

    /// <summary>M.</summary>
    public int Items => Tokens.Outputs.Length;

    /// <summary>Items whose labels are known.</summary>
    public int GivenCount => (int)_isGiven.Sum();

    /// <summary>Items that a teacher has labelled.</summary>
    public int TaughtCount => (int)_isTaught.Sum();

    /// <param name="sequences">One or more, all of one task.</param>
    public static LabelBatch Of(IReadOnlyList<TraceTokens> sequences) => new(sequences);

    /// <summary>The tokens of sequences; their outputs are what labels are read from.</summary>
    public static TokenBatch Layout(IReadOnlyList<TraceTokens> sequences)
    {
        var rows = new List<int>();
        var start = 0;
        foreach (var sequence in sequences)
        {
            rows.AddRange(sequence.Labels!.Rows.Select(row => start + row));
            start += sequence.Ids.Length;
        }

        return new TokenBatch(
            [.. sequences.SelectMany(sequence => sequence.Ids)],
            [.. sequences.Select(sequence => sequence.Ids.Length)],
            [.. rows]
        );
    }

    /// <returns>[M, L] probabilities; zeros where the labels are not known.</returns>
    public Tensor Given(Device device) => tensor(_given, [Items, _labels], device: device).Aligned();

    /// <returns>[M, L] log-probabilities; zeros where no teacher has labelled the item.</returns>
    public Tensor Taught(Device device) => tensor(_taught, [Items, _labels], device: device).Aligned();

    /// <returns>[M] 1 where the labels are known, else 0.</returns>
    public Tensor IsGiven(Device device) => tensor(_isGiven, device: device);

    /// <returns>[M] 1 where a teacher has labelled the item, else 0.</returns>
    public Tensor IsTaught(Device device) => tensor(_isTaught, device: device);

    static int LabelsOf(LabelTargets labels) => Math.Max(labels.Given.Length, labels.Taught.Length) / labels.Rows.Length;
}
