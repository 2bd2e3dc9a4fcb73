using System.Numerics.Tensors;
using TraceDistill.Core.Errors;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Export.Quantization;

namespace TraceDistill.Training.Export.Gguf;

/// <summary>Reads weights one at a time and writes them as a GGUF file has them. Holds the largest of them, not the model.</summary>
/// <param name="weights">Of the model directory.</param>
/// <param name="factors">What the tensor without a source holds.</param>
sealed class TensorEncoder(WeightFiles weights, float[]? factors, CancellationToken cancellationToken)
{
    /// <summary>A multiple of every block's size, and work enough for a processor.</summary>
    const int ChunkElements = 1 << 16;

    const float LargestHalf = 65_504;

    readonly byte[] _bytes = new byte[Environment.ProcessorCount * 4 * ChunkElements * sizeof(float)];
    float[] _values = [];

    public void Write(GgufTensor tensor, Stream stream)
    {
        var values = Read(tensor);
        var type = tensor.Type;
        var span = _bytes.Length / (int)type.BytesOf(ChunkElements) * ChunkElements;
        for (var start = 0; start < values.Length; start += span)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var part = values.Slice(start, Math.Min(span, values.Length - start));
            Parallel.For(0, (part.Length + ChunkElements - 1) / ChunkElements, index =>
            {
                var first = index * ChunkElements;
                var chunk = part.Span.Slice(first, Math.Min(ChunkElements, part.Length - first));
                type.Encode(chunk, _bytes.AsSpan((int)type.BytesOf(first), (int)type.BytesOf(chunk.Length)));
            });
            stream.Write(_bytes.AsSpan(0, (int)type.BytesOf(part.Length)));
        }
    }

    Memory<float> Read(GgufTensor tensor)
    {
        if (tensor.Source.Length == 0)
        {
            return factors;
        }

        if (_values.Length < tensor.Elements)
        {
            _values = new float[tensor.Elements];
        }

        var values = _values.AsMemory(0, (int)tensor.Elements);
        weights.Read(tensor.Source, values.Span);
        Check(tensor, TensorPrimitives.MaxMagnitude(values.Span));
        return tensor.Heads == 0 ? values : Permute(values, tensor);
    }

    void Check(GgufTensor tensor, float peak)
    {
        if (!float.IsFinite(peak))
        {
            throw new InvalidInputException($"{weights.Path}: tensor {tensor.Source} holds a value that is not a number; the training that made it diverged");
        }

        if (Math.Abs(peak) > LargestHalf && tensor.Type.IsBoundedByHalf())
        {
            throw new InvalidInputException($"{weights.Path}: tensor {tensor.Source} holds {peak}, and {tensor.Type} ends at {LargestHalf:N0}; export with --quantization BF16 or F32");
        }
    }

    /// <summary>Within each head, channel c and the one half a head later, which are rotated together, become neighbours.</summary>
    static float[] Permute(Memory<float> values, GgufTensor tensor)
    {
        var rows = (int)tensor.Shape[0];
        var (head, width) = (rows / tensor.Heads, values.Length / rows);
        var permuted = new float[values.Length];
        for (var row = 0; row < rows; row++)
        {
            var (first, channel) = (row / head * head, row % head);
            var from = first + channel / 2 + channel % 2 * (head / 2);
            values.Span.Slice(from * width, width).CopyTo(permuted.AsSpan(row * width));
        }

        return permuted;
    }
}
