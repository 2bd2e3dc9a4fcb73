using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference;

// R = rows (tokens) of the batch, D = hidden size, H = query heads, C = channels of a head, I = intermediate size, V = vocabulary.
// Rows of every buffer are padded to whole panels of 32 floats.

/// <summary>
/// The forward pass over a flat batch of tokens from any number of sequences: new tokens of running ones and chunks of prompts alike.
/// Keys and values go to the cache, attention reads them from there. Holds one thread's scratch memory, so that a step allocates nothing.
/// </summary>
sealed unsafe class KernelPass : IDecoderPass
{
    /// <summary>Bounds scratch memory at 16 × vocabulary.</summary>
    const int MostLogitRows = 16;

    readonly DecoderWeights _weights;
    readonly ModelConfiguration _shape;
    readonly KeyValueCache _cache;
    readonly PagedAttention _attention;
    readonly int[] _tokens,
        _positions;
    readonly int[][] _pages;
    readonly bool[] _areLong;
    readonly int _hiddenStride,
        _queryStride;
    IReadOnlyList<int> _wanted = [];
    int _helpers;
    readonly NativeBuffer _hidden,
        _normed,
        _projected,
        _attended,
        _gated,
        _logits;

    /// <summary>The sum that a branch adds, where it is normalised before; null in families without.</summary>
    readonly NativeBuffer? _branch;
    readonly ExpertPass? _experts;

    /// <param name="maxRows">The most rows of one batch.</param>
    public KernelPass(DecoderWeights weights, KeyValueCache cache, int maxRows)
    {
        (_weights, _shape, _cache) = (weights, weights.Configuration, cache);
        _attention = new PagedAttention(cache, _shape);
        (_tokens, _positions, _pages, _areLong) = (new int[maxRows], new int[maxRows], new int[maxRows][], new bool[maxRows]);
        _hiddenStride = PackedMatrix.PadToPanel(_shape.HiddenSize);
        _queryStride = PackedMatrix.PadToPanel(_shape.QuerySize);
        var layer = weights.Layers[0];
        _hidden = new NativeBuffer((long)maxRows * _hiddenStride);
        _normed = new NativeBuffer((long)int.Max(maxRows, MostLogitRows) * _hiddenStride);
        _projected = new NativeBuffer((long)maxRows * layer.QueryKeyValue.OutputStride);
        _attended = new NativeBuffer((long)maxRows * _queryStride);
        _gated = new NativeBuffer((long)maxRows * weights.Layers.Max(any => any.GateUp?.OutputStride ?? 0));
        _branch = layer.AfterAttention is null ? null : new NativeBuffer((long)maxRows * _hiddenStride);
        var experts = weights.Layers.FirstOrDefault(any => any.Experts is not null)?.Experts;
        _experts = experts is null ? null : new ExpertPass(_shape, experts, maxRows, _hiddenStride);
        _logits = new NativeBuffer((long)MostLogitRows * weights.Head.OutputStride);
        _hidden.Clear();
    }

    /// <summary>Rows in the batch.</summary>
    public int Count { get; private set; }

    public int LogitRows => MostLogitRows;

    public void Clear() => Count = 0;

    public int Add(int token, int position, int[] pages, bool isLong = false)
    {
        (_tokens[Count], _positions[Count], _pages[Count], _areLong[Count]) = (token, position, pages, isLong);
        return Count++;
    }

    public void Run(IReadOnlyList<int> wanted, int helpers = 0)
    {
        (_wanted, _helpers) = (wanted, helpers);
        for (var row = 0; row < Count; row++)
        {
            _weights.Embed(_tokens[row], Row(_hidden, row, _hiddenStride, _shape.HiddenSize));
        }

        for (var i = 0; i < _weights.Layers.Count; i++)
        {
            var layer = _weights.Layers[i];

            Normalize(layer.AttentionNorm); // [R, D]
            layer.QueryKeyValue.Multiply(_normed.Pointer, _hiddenStride, Count, _projected.Pointer, helpers: helpers); // [R, (H + 2·Hkv)·C]
            StoreKeysAndValues(layer, i);
            Attend(layer, i); // [R, H·C]
            var branch = layer.AfterAttention is null ? _hidden : _branch!;
            // [R, D]
            layer.AttentionOutput.Multiply(_attended.Pointer, _queryStride, Count, branch.Pointer, add: branch == _hidden, helpers);
            AddOutputBias(layer, branch);
            AddNormalized(layer.AfterAttention);

            Normalize(layer.FeedForwardNorm); // [R, D]
            FeedForward(layer, helpers);
            AddNormalized(layer.AfterFeedForward);
        }
    }

    void FeedForward(DecoderLayer layer, int helpers)
    {
        var branch = layer.AfterFeedForward is null ? _hidden : _branch!;
        if (layer.Experts is { } experts)
        {
            if (branch != _hidden)
            {
                branch.Clear();
            }

            _experts!.Run(experts, _normed.Pointer, Count, branch.Pointer, helpers);
            return;
        }

        layer.GateUp!.Multiply(_normed.Pointer, _hiddenStride, Count, _gated.Pointer, helpers: helpers); // [R, 2·I]
        Gate(layer.GateUp); // [R, I] in its first half
        layer.Down!.Multiply(_gated.Pointer, layer.GateUp.OutputStride, Count, branch.Pointer, add: branch == _hidden, helpers); // [R, D]
    }

    public void ComputeLogits(int first, int count)
    {
        for (var i = 0; i < count; i++)
        {
            Normalize(_weights.FinalNorm, _wanted[first + i], i);
        }

        _weights.Head.Multiply(_normed.Pointer, _hiddenStride, count, _logits.Pointer, helpers: _helpers); // [rows, V]
        if (_shape.LogitSoftCap is { } cap)
        {
            SimdMath.SoftCap(_logits.Pointer, count * _weights.Head.OutputStride, (float)cap);
        }
    }

    public ReadOnlySpan<float> Logits(int index) => Row(_logits, index, _weights.Head.OutputStride, _shape.VocabSize);

    public void Dispose()
    {
        _attention.Dispose();
        _experts?.Dispose();
        foreach (var buffer in new[] { _hidden, _normed, _projected, _attended, _gated, _logits, _branch })
        {
            buffer?.Dispose();
        }
    }

    /// <summary>Hidden states as the next product takes them: normalised, where the family does so.</summary>
    void Normalize(NativeBuffer? weight)
    {
        if (weight is null)
        {
            new ReadOnlySpan<float>(_hidden.Pointer, Count * _hiddenStride).CopyTo(new Span<float>(_normed.Pointer, Count * _hiddenStride));
            return;
        }

        for (var row = 0; row < Count; row++)
        {
            Normalize(weight, row, row);
        }
    }

    /// <summary>Adds what a branch made, normalised, to the hidden states.</summary>
    /// <param name="weight">Null where the branch has added it by itself.</param>
    void AddNormalized(NativeBuffer? weight)
    {
        float inverse;
        for (var row = 0; weight is not null && row < Count; row++)
        {
            float* branch = _branch!.Pointer + (long)row * _hiddenStride,
                hidden = _hidden.Pointer + (long)row * _hiddenStride;
            RmsNormKernel.Forward(branch, weight.Pointer, branch, &inverse, 1, _shape.HiddenSize, (float)_shape.RmsNormEps);
            BiasKernel.Forward(hidden, branch, 1, _shape.HiddenSize);
        }
    }

    void Normalize(NativeBuffer weight, int from, int to)
    {
        float inverse;
        RmsNormKernel.Forward(
            _hidden.Pointer + (long)from * _hiddenStride,
            weight.Pointer,
            _normed.Pointer + (long)to * _hiddenStride,
            &inverse,
            1,
            _shape.HiddenSize,
            (float)_shape.RmsNormEps
        );
    }

    /// <summary>
    /// All rows' keys and values are stored before any row attends, so that a prompt's rows see those before them in the same batch.
    /// </summary>
    void StoreKeysAndValues(DecoderLayer layer, int layerIndex)
    {
        for (var row = 0; row < Count; row++)
        {
            var queries = _projected.Pointer + (long)row * layer.QueryKeyValue.OutputStride;
            if (layer.QueryKeyValueBias is { } bias)
            {
                BiasKernel.Forward(queries, bias.Pointer, 1, _shape.QuerySize + 2 * _shape.KeyValueSize);
            }

            if (layer is { QueryNorm: { } queryNorm, KeyNorm: { } keyNorm })
            {
                NormalizeHeads(queries, queryNorm, _shape.QuerySize);
                NormalizeHeads(queries + _shape.QuerySize, keyNorm, _shape.KeyValueSize);
            }

            if (layer.Attention.IsRotated)
            {
                _weights.Rotary(layer, _areLong[row]).Rotate(queries, _positions.AsSpan(row, 1), inverse: false);
            }

            float* keys = queries + _shape.QuerySize,
                values = keys + _shape.KeyValueSize;
            for (var head = 0; head < _shape.NumKeyValueHeads; head++)
            {
                _cache.Write(_pages[row], _positions[row], layerIndex, head, keys + head * _shape.HeadDim, values + head * _shape.HeadDim);
            }
        }
    }

    /// <param name="weight">Of one head, or of all of them together.</param>
    /// <param name="width">Of all heads.</param>
    void NormalizeHeads(float* heads, NativeBuffer weight, int width)
    {
        var channels = (int)weight.Length;
        var inverse = stackalloc float[width / channels];
        RmsNormKernel.Forward(heads, weight.Pointer, heads, inverse, width / channels, channels, (float)_shape.RmsNormEps);
    }

    void AddOutputBias(DecoderLayer layer, NativeBuffer branch)
    {
        for (var row = 0; layer.AttentionOutputBias is { } bias && row < Count; row++)
        {
            BiasKernel.Forward(branch.Pointer + (long)row * _hiddenStride, bias.Pointer, 1, _shape.HiddenSize);
        }
    }

    void Attend(DecoderLayer layer, int layerIndex)
    {
        var group = _shape.NumAttentionHeads / _shape.NumKeyValueHeads;
        for (var row = 0; row < Count; row++)
        {
            var queries = _projected.Pointer + (long)row * layer.QueryKeyValue.OutputStride;
            var output = _attended.Pointer + (long)row * _queryStride;
            var first = layer.Attention.Window is { } window ? Math.Max(0, _positions[row] - window + 1) : 0;
            for (var head = 0; head < _shape.NumAttentionHeads; head += group)
            {
                _attention.Attend(
                    queries + head * _shape.HeadDim,
                    group,
                    _pages[row],
                    first,
                    _positions[row] + 1,
                    layerIndex,
                    head / group,
                    output + head * _shape.HeadDim
                );
            }
        }
    }

    void Gate(PackedMatrix gateUp)
    {
        for (var row = 0; row < Count; row++)
        {
            var both = _gated.Pointer + (long)row * gateUp.OutputStride; // Each result lands where its gate was, already read.
            if (_shape.Traits.Gate == GateActivation.GeluTanh)
            {
                GeGluKernel.Forward(both, both, 1, _shape.IntermediateSize);
            }
            else
            {
                SwiGluKernel.Forward(both, both, 1, _shape.IntermediateSize);
            }
        }
    }

    static Span<float> Row(NativeBuffer buffer, int row, int stride, int length) => new(buffer.Pointer + (long)row * stride, length);
}
