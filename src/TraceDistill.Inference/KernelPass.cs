using System.Numerics.Tensors;
using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference;

// R = rows (tokens) of the batch, D = hidden size, W = width of what a mixer gives, I = intermediate size, V = vocabulary.
// Rows of every buffer are padded to whole panels of 32 floats.

/// <summary>
/// The forward pass over a flat batch of tokens from any number of sequences: new tokens of running ones and chunks of prompts alike.
/// What layers keep of a sequence is in its pages. Holds one thread's scratch memory, so that a step allocates nothing.
/// </summary>
sealed class KernelPass : IDecoderPass
{
    /// <summary>Fewer rows would spend their time reading the output matrix, and more gain nothing.</summary>
    const int LeastLogitRows = 16,
        MostLogitRows = 64;

    /// <summary>Bounds scratch memory at 16 megabytes between those.</summary>
    const int MostLogits = 1 << 22;

    readonly DecoderWeights _weights;
    readonly ModelConfiguration _shape;
    readonly IMixerPass _mixer;
    readonly BatchRow[] _rows;
    readonly int[] _places;
    readonly EarlyExit? _exit;
    readonly int _hiddenStride;
    IReadOnlyList<int> _wanted = [];
    int _helpers;
    readonly NativeBuffer _hidden,
        _normed,
        _gated,
        _logits;

    /// <summary>The sum that a branch adds, where it is normalised before; null in families without.</summary>
    readonly NativeBuffer? _branch;
    readonly ExpertPass? _experts;

    /// <param name="mixer">Attention or a recurrence; owned by this object.</param>
    /// <param name="maxRows">The most rows of one batch.</param>
    /// <param name="exit">After which layer tokens may leave; null for none.</param>
    public KernelPass(DecoderWeights weights, IMixerPass mixer, int maxRows, EarlyExit? exit = null)
    {
        (_weights, _shape, _mixer, _exit) = (weights, weights.Configuration, mixer, exit);
        (_rows, _places) = (new BatchRow[maxRows], new int[maxRows]);
        _hiddenStride = PackedMatrix.PadToPanel(_shape.HiddenSize);
        _hidden = new NativeBuffer((long)maxRows * _hiddenStride);
        LogitRows = int.Clamp(MostLogits / weights.Head.OutputStride, LeastLogitRows, MostLogitRows);
        _normed = new NativeBuffer((long)int.Max(maxRows, LogitRows) * _hiddenStride);
        _gated = new NativeBuffer((long)maxRows * weights.Layers.Max(any => any.GateUp?.OutputStride ?? 0));
        _branch = weights.Layers[0].AfterMixer is null ? null : new NativeBuffer((long)maxRows * _hiddenStride);
        var experts = weights.Layers.FirstOrDefault(any => any.Experts is not null)?.Experts;
        _experts = experts is null ? null : new ExpertPass(_shape, experts, maxRows, _hiddenStride);
        _logits = new NativeBuffer((long)LogitRows * weights.Head.OutputStride);
        _hidden.Clear();
    }

    /// <summary>Rows in the batch.</summary>
    public int Count { get; private set; }

    public int LogitRows { get; }

    public int Exited { get; private set; }

    public void Clear() => Count = 0;

    public int Add(int token, int position, int[] pages, bool isLong = false, bool mayExit = false, ReadOnlyMemory<float> vector = default)
    {
        _rows[Count] = new BatchRow(token, position, pages, isLong, mayExit, vector);
        return Count++;
    }

    public void Run(IReadOnlyList<int> wanted, int helpers = 0)
    {
        (_wanted, _helpers) = (wanted, helpers);
        for (var row = 0; row < Count; row++)
        {
            _places[row] = row;
            if (_rows[row].Vector.IsEmpty)
            {
                _weights.Embed(_rows[row].Token, Hidden(_hidden, row));
            }
            else
            {
                _rows[row].Vector.Span.CopyTo(Hidden(_hidden, row));
            }
        }

        var active = Count; // rows that go through the layer, the first ones

        for (var i = 0; i < _weights.Layers.Count; i++)
        {
            var layer = _weights.Layers[i];

            Normalize(layer.MixerNorm); // [R, D]
            _mixer.Run(layer, i, _normed, _rows.AsSpan(0, Count), active, helpers); // [R, W]
            var branch = layer.AfterMixer is null ? _hidden : _branch!;
            // [R, D]
            layer.MixerOutput.Multiply(_mixer.Mixed, _mixer.Stride, active, branch, add: branch == _hidden, helpers);
            AddOutputBias(layer, branch, active);
            AddNormalized(layer.AfterMixer, active);

            Normalize(layer.FeedForwardNorm); // [R, D]
            FeedForward(layer, active, helpers);
            AddNormalized(layer.AfterFeedForward, active);
            if (i == _exit?.Layer)
            {
                active = Leave(_exit.Threshold);
            }
        }

        Exited = Count - active;
    }

    /// <summary>Moves the rows whose next token is likely enough behind the others.</summary>
    /// <returns>The number of the others.</returns>
    int Leave(double threshold)
    {
        var active = Count;
        for (var last = _wanted.Count - 1; last >= 0; )
        {
            // From the end, so that what changes places was looked at already.
            var first = int.Max(0, last - LogitRows + 1);
            ComputeLogits(first, last - first + 1);
            for (; last >= first; last--)
            {
                var logits = _logits.Row(last - first, _weights.Head.OutputStride, _shape.VocabSize);
                if (_rows[_places[_wanted[last]]].MayExit && Confidence(logits) >= threshold)
                {
                    Swap(_wanted[last], --active);
                }
            }
        }

        return active;
    }

    /// <summary>Probability of the likeliest token; the logits are used up.</summary>
    static double Confidence(Span<float> logits)
    {
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
        TensorPrimitives.Exp<float>(logits, logits);
        return 1 / (double)TensorPrimitives.Sum<float>(logits);
    }

    /// <summary>Lets a row and the one at a place change places.</summary>
    void Swap(int row, int place)
    {
        var from = _places[row];
        if (from == place)
        {
            return;
        }

        var other = Array.IndexOf(_places, place, 0, Count);
        (_places[row], _places[other]) = (place, from);
        (_rows[from], _rows[place]) = (_rows[place], _rows[from]);
        Span<float> mine = Hidden(_hidden, from),
            theirs = Hidden(_hidden, place),
            kept = Hidden(_normed, 0);
        mine.CopyTo(kept);
        theirs.CopyTo(mine);
        kept.CopyTo(theirs);
    }

    void FeedForward(DecoderLayer layer, int active, int helpers)
    {
        var branch = layer.AfterFeedForward is null ? _hidden : _branch!;
        if (layer.Experts is { } experts)
        {
            if (branch != _hidden)
            {
                branch.Clear();
            }

            _experts!.Run(experts, _normed, active, branch, helpers);
            return;
        }

        layer.GateUp!.Multiply(_normed, _hiddenStride, active, _gated, helpers: helpers); // [R, 2·I]
        Gate(layer.GateUp, active); // [R, I] in its first half
        layer.Down!.Multiply(_gated, layer.GateUp.OutputStride, active, branch, add: branch == _hidden, helpers); // [R, D]
    }

    public void ComputeLogits(int first, int count)
    {
        for (var i = 0; i < count; i++)
        {
            Normalize(_weights.FinalNorm, _places[_wanted[first + i]], i);
        }

        _weights.Head.Multiply(_normed, _hiddenStride, count, _logits, helpers: _helpers); // [rows, V]
        if (_shape.LogitSoftCap is { } cap)
        {
            SimdMath.SoftCap(_logits.Span[..(count * _weights.Head.OutputStride)], (float)cap);
        }
    }

    public ReadOnlySpan<float> Logits(int index) => _logits.Row(index, _weights.Head.OutputStride, _shape.VocabSize);

    public void Dispose()
    {
        _mixer.Dispose();
        _experts?.Dispose();
        foreach (var buffer in new[] { _hidden, _normed, _gated, _logits, _branch })
        {
            buffer?.Dispose();
        }
    }

    /// <summary>Hidden states as the next product takes them: normalised, where the family does so.</summary>
    void Normalize(NativeBuffer? weight)
    {
        if (weight is null)
        {
            _hidden.Span[..(Count * _hiddenStride)].CopyTo(_normed.Span);
            return;
        }

        for (var row = 0; row < Count; row++)
        {
            Normalize(weight, row, row);
        }
    }

    /// <summary>Adds what a branch made, normalised, to the hidden states.</summary>
    /// <param name="weight">Null where the branch has added it by itself.</param>
    void AddNormalized(NativeBuffer? weight, int active)
    {
        for (var row = 0; weight is not null && row < active; row++)
        {
            var branch = Hidden(_branch!, row);
            RmsNormKernel.Forward(branch, weight.Span, branch, (float)_shape.RmsNormEps);
            Add(Hidden(_hidden, row), branch);
        }
    }

    void Normalize(NativeBuffer weight, int from, int to) =>
        RmsNormKernel.Forward(Hidden(_hidden, from), weight.Span, Hidden(_normed, to), (float)_shape.RmsNormEps);

    void AddOutputBias(DecoderLayer layer, NativeBuffer branch, int active)
    {
        for (var row = 0; layer.MixerOutputBias is { } bias && row < active; row++)
        {
            Add(Hidden(branch, row), bias.Span);
        }
    }

    void Gate(PackedMatrix gateUp, int active)
    {
        for (var row = 0; row < active; row++)
        {
            // Each result lands where its gate was, already read.
            var both = _gated.Row(row, gateUp.OutputStride, 2 * _shape.IntermediateSize);
            if (_shape.Traits.Gate == GateActivation.GeluTanh)
            {
                GeGluKernel.Forward(both);
            }
            else
            {
                SwiGluKernel.Forward(both);
            }
        }
    }

    Span<float> Hidden(NativeBuffer buffer, int row) => buffer.Row(row, _hiddenStride, _shape.HiddenSize);

    static void Add(Span<float> row, ReadOnlySpan<float> added) => TensorPrimitives.Add(row, added[..row.Length], row);
}
