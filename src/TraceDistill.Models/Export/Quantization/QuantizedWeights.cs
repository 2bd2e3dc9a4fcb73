using System.Numerics.Tensors;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>The weights of a model as its GGUF file of some type has them.</summary>
public sealed class QuantizedWeights
{
    /// <summary>A multiple of every block's size, and work enough for a processor.</summary>
    const int ChunkElements = 1 << 16;

    readonly IReadOnlyDictionary<string, (GgmlType Type, float Factor)> _tensors;

    /// <param name="type">The file's, by llama.cpp's name.</param>
    /// <param name="tensors">How the file stores each weight, and what it is multiplied by before; by Hugging Face's name.</param>
    internal QuantizedWeights(string type, IReadOnlyDictionary<string, (GgmlType Type, float Factor)> tensors) =>
        (Type, _tensors) = (type, tensors);

    /// <summary>The file's type, by llama.cpp's name.</summary>
    public string Type { get; }

    /// <summary>Encodes the values of a weight as the file does, and reads them back.</summary>
    internal void Round(string name, Memory<float> values)
    {
        var (type, factor) = _tensors[name];
        Parallel.For(0, (values.Length + ChunkElements - 1) / ChunkElements, index =>
        {
            var first = index * ChunkElements;
            var chunk = values.Span.Slice(first, Math.Min(ChunkElements, values.Length - first));
            var bytes = new byte[type.BytesOf(chunk.Length)];
            TensorPrimitives.Multiply(chunk, factor, chunk);
            type.Encode(chunk, bytes);
            type.Decode(bytes, chunk);
            TensorPrimitives.Divide(chunk, factor, chunk);
        });
    }
}
