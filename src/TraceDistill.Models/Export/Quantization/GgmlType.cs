using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Export.Quantization;

/// <summary>Storage types of a tensor's values in GGUF; the numbers are the format's own.</summary>
enum GgmlType
{
    F32 = 0,
    F16 = 1,

    /// <summary>32 values of 4 bits and a scale.</summary>
    Q4_0 = 2,

    /// <summary>32 values of 5 bits and a scale.</summary>
    Q5_0 = 6,

    /// <summary>32 values of 8 bits and a scale.</summary>
    Q8_0 = 8,

    /// <summary>256 values of 4 bits; each 32 of them have a scale and an offset of 6 bits.</summary>
    Q4_K = 12,

    /// <summary>256 values of 6 bits; each 16 of them have a scale of 8 bits.</summary>
    Q6_K = 14,

    BF16 = 30,
}

/// <summary>Sizes and encodings of <see cref="GgmlType"/>.</summary>
static class GgmlTypes
{
    /// <summary>Values of a block. A row is a whole number of blocks.</summary>
    public static int BlockSize(this GgmlType type) =>
        type switch
        {
            GgmlType.Q4_K or GgmlType.Q6_K => 256,
            GgmlType.Q4_0 or GgmlType.Q5_0 or GgmlType.Q8_0 => 32,
            _ => 1,
        };

    /// <summary>Bytes of a block.</summary>
    public static int BlockBytes(this GgmlType type) =>
        type switch
        {
            GgmlType.Q4_0 => Q4_0.Bytes,
            GgmlType.Q5_0 => Q5_0.Bytes,
            GgmlType.Q8_0 => Q8_0.Bytes,
            GgmlType.Q4_K => Q4K.Bytes,
            GgmlType.Q6_K => Q6K.Bytes,
            GgmlType.F32 => 4,
            _ => 2,
        };

    public static long BytesOf(this GgmlType type, long elements) => elements / type.BlockSize() * type.BlockBytes();

    /// <summary>Returns whether scales or values are float16, which ends at 65,504.</summary>
    public static bool IsBoundedByHalf(this GgmlType type) => type is not (GgmlType.F32 or GgmlType.BF16);

    /// <param name="type">The encoding.</param>
    /// <param name="values">Whole blocks of finite values.</param>
    /// <param name="bytes">As many as <see cref="BytesOf"/> says.</param>
    public static void Encode(this GgmlType type, ReadOnlySpan<float> values, Span<byte> bytes)
    {
        switch (type)
        {
            case GgmlType.F32:
                TensorDtype.Float32.Encode(values, bytes);
                return;
            case GgmlType.F16:
                TensorDtype.Float16.Encode(values, bytes);
                return;
            case GgmlType.BF16:
                TensorDtype.BFloat16.Encode(values, bytes);
                return;
        }

        var (size, width) = (type.BlockSize(), type.BlockBytes());
        for (; !values.IsEmpty; values = values[size..], bytes = bytes[width..])
        {
            var block = values[..size];
            var output = bytes[..width];
            switch (type)
            {
                case GgmlType.Q4_0:
                    Q4_0.Encode(block, output);
                    break;
                case GgmlType.Q5_0:
                    Q5_0.Encode(block, output);
                    break;
                case GgmlType.Q8_0:
                    Q8_0.Encode(block, output);
                    break;
                case GgmlType.Q4_K:
                    Q4K.Encode(block, output);
                    break;
                default:
                    Q6K.Encode(block, output);
                    break;
            }
        }
    }

    /// <param name="type">The encoding.</param>
    /// <param name="bytes">Whole blocks.</param>
    /// <param name="values">As many as they hold.</param>
    public static void Decode(this GgmlType type, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        switch (type)
        {
            case GgmlType.F32:
                TensorDtype.Float32.Decode(bytes, values);
                return;
            case GgmlType.F16:
                TensorDtype.Float16.Decode(bytes, values);
                return;
            case GgmlType.BF16:
                TensorDtype.BFloat16.Decode(bytes, values);
                return;
        }

        var (size, width) = (type.BlockSize(), type.BlockBytes());
        for (; !bytes.IsEmpty; values = values[size..], bytes = bytes[width..])
        {
            var block = bytes[..width];
            var output = values[..size];
            switch (type)
            {
                case GgmlType.Q4_0:
                    Q4_0.Decode(block, output);
                    break;
                case GgmlType.Q5_0:
                    Q5_0.Decode(block, output);
                    break;
                case GgmlType.Q8_0:
                    Q8_0.Decode(block, output);
                    break;
                case GgmlType.Q4_K:
                    Q4K.Decode(block, output);
                    break;
                default:
                    Q6K.Decode(block, output);
                    break;
            }
        }
    }
}
