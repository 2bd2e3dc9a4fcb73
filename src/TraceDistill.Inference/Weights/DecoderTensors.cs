using TraceDistill.Inference.Kernels;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference.Weights;

/// <summary>
/// Reads weights into the layouts that generation wants, a few rows at a time: beside the result there is never more than a buffer of them.
/// </summary>
static class DecoderTensors
{
    const int BufferBytes = 1 << 20;

    /// <summary>Vectors, one after the other, in float32.</summary>
    public static NativeBuffer ReadVector(this IWeightSource source, params string[] names)
    {
        var buffer = new NativeBuffer(names.Sum(name => source.ShapeOf(name).ElementCount()));
        var rest = buffer.Span;
        foreach (var name in names)
        {
            var length = source.ShapeOf(name).SpanCount(name);
            Decode(source, name, 0, rest[..length]);
            rest = rest[length..];
        }

        return buffer;
    }

    /// <summary>All values of a tensor in float32.</summary>
    public static void ReadValues(this IWeightSource source, string name, float[] values) => Decode(source, name, 0, values);

    /// <summary>Factors of a norm: its weight, or one more in families that have it so.</summary>
    public static NativeBuffer ReadNorm(this IWeightSource source, string name)
    {
        var norm = source.ReadVector(name);
        if (source.Configuration.Traits.NormsAddOne)
        {
            System.Numerics.Tensors.TensorPrimitives.Add(norm.Span, 1, norm.Span);
        }

        return norm;
    }

    /// <summary>Matrices with the same inputs as one: in their own precision, or in float32 where they differ in it.</summary>
    public static PackedMatrix ReadMatrix(this IWeightSource source, params string[] names)
    {
        var (outputs, inputs) = (names.Sum(name => source.ShapeOf(name)[0]), (int)source.ShapeOf(names[0])[1]);
        TensorDtype[] dtypes = [.. names.Select(source.DtypeOf).Distinct()];
        var dtype = dtypes.Length == 1 ? dtypes[0] : TensorDtype.Float32;
        var matrix = new PackedMatrix(dtype, checked((int)outputs), inputs);
        var row = 0;
        foreach (var name in names)
        {
            var rows = (int)source.ShapeOf(name)[0];
            var buffer = new byte[(long)Math.Clamp(BufferBytes / (inputs * dtype.Size()), 1, rows) * inputs * dtype.Size()];
            for (var first = 0; first < rows; )
            {
                var count = Math.Min(rows - first, buffer.Length / (inputs * dtype.Size()));
                var values = buffer.AsSpan(0, count * inputs * dtype.Size());
                Read(source, name, (long)first * inputs, dtype, values);
                matrix.Pack(row + first, values);
                first += count;
            }

            row += rows;
        }

        return matrix;
    }

    static void Read(IWeightSource source, string name, long first, TensorDtype dtype, Span<byte> values)
    {
        if (source.DtypeOf(name) == dtype)
        {
            source.Read(name, first, values);
        }
        else
        {
            Decode(source, name, first, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(values));
        }
    }

    static void Decode(IWeightSource source, string name, long first, Span<float> values)
    {
        var stored = new byte[values.Length * source.DtypeOf(name).Size()];
        source.Read(name, first, stored);
        source.DtypeOf(name).Decode(stored, values);
    }
}
