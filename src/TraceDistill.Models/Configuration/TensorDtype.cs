using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TraceDistill.Models.Configuration;

/// <summary>Storage types of weights.</summary>
public enum TensorDtype
{
    Float32,
    Float16,
    BFloat16,
}

/// <summary>Names, sizes and conversions of <see cref="TensorDtype"/>.</summary>
public static class TensorDtypes
{
    /// <returns>The type that safetensors spells <paramref name="name"/>, or null.</returns>
    public static TensorDtype? Parse(string? name) =>
        name switch
        {
            "F32" => TensorDtype.Float32,
            "F16" => TensorDtype.Float16,
            "BF16" => TensorDtype.BFloat16,
            _ => null,
        };

    /// <returns>The name in a safetensors header.</returns>
    public static string SafetensorsName(this TensorDtype dtype) =>
        dtype switch
        {
            TensorDtype.Float16 => "F16",
            TensorDtype.BFloat16 => "BF16",
            _ => "F32",
        };

    /// <returns>The name in config.json's <c>torch_dtype</c>.</returns>
    public static string TorchName(this TensorDtype dtype) =>
        dtype switch
        {
            TensorDtype.Float16 => "float16",
            TensorDtype.BFloat16 => "bfloat16",
            _ => "float32",
        };

    /// <returns>Bytes of one value.</returns>
    public static int Size(this TensorDtype dtype) => dtype == TensorDtype.Float32 ? 4 : 2;

    /// <summary>Little-endian bytes to float32; exact for every type.</summary>
    public static void Decode(this TensorDtype dtype, ReadOnlySpan<byte> source, Span<float> destination)
    {
        switch (dtype)
        {
            case TensorDtype.Float32:
                MemoryMarshal.Cast<byte, float>(source).CopyTo(destination);
                break;
            case TensorDtype.Float16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), destination);
                break;
            default:
                DecodeBFloat16(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
        }
    }

    /// <summary>float32 to little-endian bytes, rounded to the nearest, ties to even.</summary>
    public static void Encode(this TensorDtype dtype, ReadOnlySpan<float> source, Span<byte> destination)
    {
        switch (dtype)
        {
            case TensorDtype.Float32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case TensorDtype.Float16:
                TensorPrimitives.ConvertToHalf(source, MemoryMarshal.Cast<byte, Half>(destination));
                break;
            default:
                var bits = MemoryMarshal.Cast<byte, ushort>(destination);
                for (var i = 0; i < source.Length; i++)
                {
                    var value = BitConverter.SingleToUInt32Bits(source[i]);
                    bits[i] = float.IsNaN(source[i]) ? (ushort)0x7fc0 : (ushort)((value + 0x7fff + ((value >> 16) & 1)) >> 16);
                }

                break;
        }
    }

    /// <summary>bfloat16 is the upper half of a float32.</summary>
    static void DecodeBFloat16(ReadOnlySpan<ushort> bits, Span<float> destination)
    {
        var i = 0;
        for (; i <= bits.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            var (lower, upper) = Vector256.Widen(Vector256.Create(bits[i..]));
            (lower << 16).AsSingle().CopyTo(destination[i..]);
            (upper << 16).AsSingle().CopyTo(destination[(i + Vector256<uint>.Count)..]);
        }

        for (; i < bits.Length; i++)
        {
            destination[i] = BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
        }
    }
}
