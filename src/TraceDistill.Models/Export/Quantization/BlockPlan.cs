using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>How the quantised file that a model is trained for stores each of its matrices.</summary>
public sealed class BlockPlan
{
    internal BlockPlan(QuantizationAware type, IReadOnlyDictionary<string, BlockRounding> matrices) => (Type, Matrices) = (type, matrices);

    public QuantizationAware Type { get; }

    /// <summary>By Hugging Face's name; those that the file has in float32 are not among them.</summary>
    internal IReadOnlyDictionary<string, BlockRounding> Matrices { get; }

    /// <summary>The type, and the number of matrices by how the file has them: <c>Q4_0 (24 matrices Q4_0, 1 Q8_0)</c>.</summary>
    public override string ToString()
    {
        var counts = Matrices.Values.CountBy(matrix => matrix.Type).OrderByDescending(type => type.Value).ToList();
        var others = string.Concat(counts.Skip(1).Select(type => $", {type.Value} {type.Key}"));
        return $"{Type} ({counts[0].Value} matrices {counts[0].Key}{others})";
    }

    /// <summary>Rounds the values of a weight as the file has them.</summary>
    internal void Round(string name, Span<float> values, long[] shape)
    {
        if (Matrices.TryGetValue(name, out var rounding))
        {
            using var matrix = empty(shape);
            var memory = new TensorMemory<float>(matrix).Slice(0, values.Length);
            values.CopyTo(memory);
            rounding.Apply(matrix);
            memory.CopyTo(values);
        }
    }
}
