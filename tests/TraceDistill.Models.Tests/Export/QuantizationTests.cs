using TraceDistill.Models.Export.Quantization;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>What ggml reads of blocks that were written here.</summary>
[Trait("Category", "Numeric")]
public class QuantizationTests
{
    public static TheoryData<string> Types => ["Q8_0", "Q6_K", "Q5_0", "Q4_K", "Q4_0"];

    [Theory]
    [MemberData(nameof(Types))]
    public void Encode_Weights_AreReadByGgmlWithNoMoreErrorThanItsOwnQuantiserLeaves(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        var values = Normal(256 * 200);

        var ours = MeanSquaredError(values, Ggml.Decode(type, Encode(type, values)));

        var theirs = MeanSquaredError(values, Ggml.Decode(type, Ggml.Encode(type, values)));
        Assert.InRange(ours, theirs * 0.5, theirs * 1.001);
    }

    /// <summary>Half a step of the coarsest scale that a block may need, and what rounding scales to float16 or six bits adds.</summary>
    [Theory]
    [InlineData("Q8_0", 1 / 127f)]
    [InlineData("Q6_K", 1 / 31f)]
    [InlineData("Q5_0", 1 / 15f)]
    [InlineData("Q4_0", 1 / 7f)]
    [InlineData("Q4_K", 2 / 14f)]
    public void Encode_AnyValues_AreReadWithinAStep(string name, float step)
    {
        var type = Enum.Parse<GgmlType>(name);
        var values = Normal(256 * 200);
        for (var block = 0; block < 200; block++)
        {
            Scale(values.AsSpan(block * 256, 256), MathF.Pow(10, block % 5));
        }

        var read = Ggml.Decode(type, Encode(type, values));

        foreach (var group in values.Index().Chunk(type.BlockSize()))
        {
            var peak = group.Max(value => Math.Abs(value.Item));
            Assert.InRange(group.Max(value => Math.Abs(value.Item - read[value.Index])), 0, peak * step);
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Decode_AnyBlocks_ReadsWhatGgmlReads(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        var bytes = Encode(type, Normal(256 * 200));
        var values = new float[256 * 200];

        type.Decode(bytes, values);

        // Scale times code minus offset: ggml may round once where two operations round twice.
        var tolerance = type == GgmlType.Q4_K ? values.Max(Math.Abs) * Math.Pow(2, -23) : 0;
        Assert.All(Ggml.Decode(type, bytes).Zip(values), pair => Assert.Equal(pair.First, pair.Second, tolerance));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Encode_ZerosAndConstants_AreReadAsSuch(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        float[] values =
        [
            .. new float[256],
            .. Enumerable.Repeat(0.75f, 256),
            .. Enumerable.Repeat(-0.75f, 256),
            .. Enumerable.Repeat(1e-30f, 256),
            .. Enumerable.Range(0, 256).Select(i => i % 3 * float.Epsilon),
        ];

        var read = Ggml.Decode(type, Encode(type, values));

        Assert.All(read.Take(256), value => Assert.Equal(0, value));
        Assert.All(read.Skip(256).Take(256), value => Assert.InRange(value, 0.74f, 0.76f));
        Assert.All(read.Skip(512).Take(256), value => Assert.InRange(value, -0.76f, -0.74f));
        Assert.All(read.Skip(768), value => Assert.InRange(value, -1e-6f, 1e-6f));
    }

    static byte[] Encode(GgmlType type, float[] values)
    {
        var bytes = new byte[type.BytesOf(values.Length)];
        type.Encode(values, bytes);
        return bytes;
    }

    static double MeanSquaredError(float[] values, float[] read) => values.Zip(read).Average(pair => Math.Pow(pair.First - pair.Second, 2));

    static void Scale(Span<float> values, float factor)
    {
        foreach (ref var value in values)
        {
            value *= factor;
        }
    }

    static float[] Normal(int count)
    {
        var random = new Random(6);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                    (float)(0.05 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))
                ),
        ];
    }
}
