using System.Numerics.Tensors;
using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference;

// R = rows, D = hidden size, H = query heads, Hkv = key heads, C = channels of a head

/// <summary>Attention over keys and values in the pages of sequences.</summary>
sealed class AttentionPass : IMixerPass
{
    readonly DecoderWeights _weights;
    readonly ModelConfiguration _shape;
    readonly KeyValueCache _cache;
    readonly PagedAttention _attention;
    readonly NativeBuffer _projected;
    readonly int _inputStride;

    /// <param name="maxRows">The most rows of one batch.</param>
    public AttentionPass(DecoderWeights weights, KeyValueCache cache, int maxRows)
    {
        (_weights, _shape, _cache) = (weights, weights.Configuration, cache);
        _attention = new PagedAttention(cache, _shape);
        _inputStride = PackedMatrix.PadToPanel(_shape.HiddenSize);
        Stride = PackedMatrix.PadToPanel(_shape.QuerySize);
        _projected = new NativeBuffer((long)maxRows * weights.Layers[0].Attention!.QueryKeyValue.OutputStride);
        Mixed = new NativeBuffer((long)maxRows * Stride);
    }

    public int Stride { get; }

    /// <summary>[R, H·C].</summary>
    public NativeBuffer Mixed { get; }

    public void Run(DecoderLayer layer, int index, NativeBuffer normed, ReadOnlySpan<BatchRow> rows, int active, int helpers)
    {
        var attention = layer.Attention!;
        attention.QueryKeyValue.Multiply(normed, _inputStride, rows.Length, _projected, helpers: helpers); // [R, (H + 2·Hkv)·C]
        StoreKeysAndValues(attention, index, rows);
        Attend(attention, index, rows[..active]); // [R, H·C]
    }

    public void Dispose()
    {
        _attention.Dispose();
        _projected.Dispose();
        Mixed.Dispose();
    }

    /// <summary>
    /// All rows' keys and values are stored before any row attends, so that a prompt's rows see those before them in the same batch.
    /// </summary>
    void StoreKeysAndValues(AttentionMatrices layer, int index, ReadOnlySpan<BatchRow> rows)
    {
        for (var row = 0; row < rows.Length; row++)
        {
            var projected = _projected.Row(row, layer.QueryKeyValue.OutputStride, _shape.QuerySize + 2 * _shape.KeyValueSize);
            var queries = projected[.._shape.QuerySize];
            var keys = projected.Slice(_shape.QuerySize, _shape.KeyValueSize);
            var values = projected[^_shape.KeyValueSize..];
            if (layer.Bias is { } bias)
            {
                TensorPrimitives.Add(projected, bias.Span[..projected.Length], projected);
            }

            if (layer is { QueryNorm: { } queryNorm, KeyNorm: { } keyNorm })
            {
                NormalizeHeads(queries, queryNorm.Span);
                NormalizeHeads(keys, keyNorm.Span);
            }

            if (layer.Kind.IsRotated)
            {
                _weights.Rotary(layer, rows[row].IsLong).Rotate(projected, rows[row].Position);
            }

            for (var head = 0; head < _shape.NumKeyValueHeads; head++)
            {
                _cache.Write(rows[row].Pages, rows[row].Position, index, head, Head(keys, head), Head(values, head));
            }
        }
    }

    Span<float> Head(Span<float> heads, int head) => heads.Slice(head * _shape.HeadDim, _shape.HeadDim);

    /// <param name="weight">Of one head, or of all of them together.</param>
    void NormalizeHeads(Span<float> heads, ReadOnlySpan<float> weight)
    {
        for (var first = 0; first < heads.Length; first += weight.Length)
        {
            var head = heads.Slice(first, weight.Length);
            RmsNormKernel.Forward(head, weight, head, (float)_shape.RmsNormEps);
        }
    }

    void Attend(AttentionMatrices layer, int index, ReadOnlySpan<BatchRow> rows)
    {
        var group = _shape.NumAttentionHeads / _shape.NumKeyValueHeads;
        for (var row = 0; row < rows.Length; row++)
        {
            var queries = _projected.Row(row, layer.QueryKeyValue.OutputStride, _shape.QuerySize);
            var output = Mixed.Row(row, Stride, _shape.QuerySize);
            var first = layer.Kind.Window is { } window ? Math.Max(0, rows[row].Position - window + 1) : 0;
            for (var head = 0; head < _shape.NumAttentionHeads; head += group)
            {
                _attention.Attend(
                    queries[(head * _shape.HeadDim)..],
                    group,
                    rows[row].Pages,
                    first,
                    rows[row].Position + 1,
                    index,
                    head / group,
                    output[(head * _shape.HeadDim)..]
                );
            }
        }
    }
}
