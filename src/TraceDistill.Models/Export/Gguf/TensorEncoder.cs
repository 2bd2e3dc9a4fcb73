using System.Numerics.Tensors;
using TraceDistill.Models.Export.Quantization;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>Writes weights as a GGUF file has them, on all processors.</summary>
/// <param name="weights">Of the model directory.</param>
/// <param name="factors">Values of tensors without a source, by name.</param>
sealed class TensorEncoder(WeightReader weights, IReadOnlyDictionary<string, float[]> factors, CancellationToken cancellationToken)
{
    /// <summary>A multiple of every block's size, and work enough for a processor.</summary>
    const int ChunkElements = 1 << 16;

    readonly byte[] _bytes = new byte[Environment.ProcessorCount * 4 * ChunkElements * sizeof(float)];
    float[] _permuted = [];

    public void Write(GgufTensor tensor, Stream stream)
    {
        foreach (var source in tensor.Experts.Count > 0 ? tensor.Experts : [tensor.Source])
        {
            Write(Read(tensor, source), tensor.Type, stream);
        }
    }

    void Write(Memory<float> values, GgmlType type, Stream stream)
    {
        var span = _bytes.Length / (int)type.BytesOf(ChunkElements) * ChunkElements;
        for (int start = 0, next; start < values.Length; start = next)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var part = values.Slice(start, Math.Min(span, values.Length - start));
            next = start + part.Length;
            Parallel.For(0, (part.Length + ChunkElements - 1) / ChunkElements, index =>
            {
                var first = index * ChunkElements;
                var chunk = part.Span.Slice(first, Math.Min(ChunkElements, part.Length - first));
                type.Encode(chunk, _bytes.AsSpan((int)type.BytesOf(first), (int)type.BytesOf(chunk.Length)));
            });
            stream.Write(_bytes.AsSpan(0, (int)type.BytesOf(part.Length)));
        }
    }

    Memory<float> Read(GgufTensor tensor, string source)
    {
        if (source.Length == 0)
        {
            return factors[tensor.Name];
        }

        var values = weights.Read(source, tensor.Type.ToString(), tensor.Type.IsBoundedByHalf());
        if (tensor.Shift != 0 || tensor.Factor != 1)
        {
            TensorPrimitives.Add(values.Span, tensor.Shift, values.Span);
            TensorPrimitives.Multiply(values.Span, tensor.Factor, values.Span);
        }

        return tensor.Heads == 0 ? values : Permute(values, tensor);
    }

    /// <summary>Within each head, channel c and the one half a head later, which are rotated together, become neighbours.</summary>
    Memory<float> Permute(Memory<float> values, GgufTensor tensor)
    {
        var rows = (int)tensor.Shape[0];
        var (head, width) = (rows / tensor.Heads, values.Length / rows);
        if (_permuted.Length < values.Length)
        {
            _permuted = new float[values.Length];
        }

        for (var row = 0; row < rows; row++)
        {
            var (first, channel) = (row / head * head, row % head);
            var from = first + channel / 2 + channel % 2 * (head / 2);
            values.Span.Slice(from * width, width).CopyTo(_permuted.AsSpan(row * width));
        }

        return _permuted.AsMemory(0, values.Length);
    }
}
