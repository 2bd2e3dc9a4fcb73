using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Models.Export.Quantization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Export;

/// <summary>Weights rounded to a file's blocks in training, and what ggml and the export make of them.</summary>
[Trait("Category", "Numeric")]
public class BlockRoundingTests
{
    const int Size = 256;

    public static TheoryData<string> Types => ["Q8_0", "Q4_0", "Q6_K", "F16"];

    /// <summary>To the bit, ties and scales below float16's normal numbers included.</summary>
    [Theory]
    [InlineData("Q8_0")]
    [InlineData("Q4_0")]
    public void Apply_AnyBlocks_AreWhatGgmlReadsOfItsOwnQuantisersBlocks(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        var values = Blocks();

        Assert.Equal(Ggml.Decode(type, Ggml.Encode(type, values)), Rounded(type, values));
    }

    /// <summary>The formulas in float64, but for values that are halfway between two codes within float32's rounding.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void Apply_Weights_EqualTheFormulaInFloat64(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        var values = Normal(Size * 100);

        var expected = values.Chunk(type == GgmlType.F16 ? 1 : type.BlockSize()).SelectMany(block => Formula(type, block)).ToArray();

        Assert.All(Rounded(type, values).Zip(expected), pair =>
            Assert.True(double.IsNaN(pair.Second) || pair.First == pair.Second, $"{pair.First} is not {pair.Second}")
        );
        Assert.InRange(expected.Count(double.IsNaN), 0, values.Length / 1_000);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Encode_RoundedBlocks_ChangesNothing(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        var rounded = Rounded(type, Blocks());

        var bytes = Encode(type, rounded);

        var read = Read(type, bytes);
        Assert.Equal(rounded, read);
        Assert.Equal(bytes, Encode(type, read));
    }

    [Theory]
    [InlineData("Q8_0")]
    [InlineData("Q4_0")]
    [InlineData("F16")]
    public void Apply_RoundedBlocks_ChangesNothing(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        var rounded = Rounded(type, Blocks());

        Assert.Equal(rounded, Rounded(type, rounded));
    }

    /// <summary>Who converts the model with llama.cpp and quantises it there has the same file.</summary>
    [Theory]
    [InlineData("Q8_0")]
    [InlineData("Q4_0")]
    public void GgmlsQuantiser_RoundedBlocks_GivesTheExportsBytes(string name)
    {
        var type = Enum.Parse<GgmlType>(name);
        // The scale of zeros is 0 here and may be -0 there.
        var rounded = Rounded(type, Blocks()).Chunk(32).Where(block => block.Any(value => value != 0)).SelectMany(block => block).ToArray();

        Assert.Equal(Ggml.Encode(type, rounded), Encode(type, rounded));
    }

    [Theory]
    [InlineData("Q8_0", 1.001)]
    [InlineData("Q4_0", 1.001)]
    [InlineData("Q6_K", 1.3)]
    public void Apply_Weights_LeavesLittleMoreErrorThanGgmlsQuantiser(string name, double most)
    {
        var type = Enum.Parse<GgmlType>(name);
        var values = Normal(Size * 200);

        var error = MeanSquaredError(values, Rounded(type, values));

        Assert.InRange(error, 0, most * MeanSquaredError(values, Ggml.Decode(type, Ggml.Encode(type, values))));
    }

    /// <summary>As the export multiplies it before it is encoded.</summary>
    [Fact]
    public void Apply_AMatrixWithAFactor_IsOnTheBlocksOfItsProduct()
    {
        const float Factor = 4f / 3;
        var values = Normal(Size * 20);
        using var matrix = tensor(values, [20, Size]);

        new BlockRounding(GgmlType.Q4_0, Factor).Apply(matrix);

        var multiplied = matrix.data<float>().ToArray().Select(value => value * Factor).ToArray();
        var read = Ggml.Decode(GgmlType.Q4_0, Encode(GgmlType.Q4_0, multiplied));
        Assert.All(read.Zip(multiplied), pair => Assert.Equal(pair.First, pair.Second, Math.Abs(pair.First) * 1e-6));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void BlocksOf_AnyModel_NamesWhatTheFileHasInOtherTypesThanFloat32(bool hasExperts)
    {
        var shape = SampleModel.Shape with
        {
            HiddenSize = 256,
            IntermediateSize = 72, // no multiple of 32
            Family = hasExperts ? ModelFamily.Mixtral : ModelFamily.Llama,
            Experts = hasExperts
                ? new()
                {
                    NumExperts = 4,
                    NumExpertsPerToken = 2,
                    IntermediateSize = 64,
                    NormalizesTopK = true,
                }
                : null,
        };

        var blocks = TensorPlan.BlocksOf(shape, QuantizationAware.Q4_0)!.Matrices;

        Assert.Equal(GgmlType.Q6_K, blocks["lm_head.weight"].Type);
        Assert.Equal(GgmlType.Q4_0, blocks["model.embed_tokens.weight"].Type);
        Assert.Equal(GgmlType.Q4_0, blocks["model.layers.2.self_attn.k_proj.weight"].Type);
        Assert.Equal(
            hasExperts ? GgmlType.Q4_0 : GgmlType.F16,
            blocks[hasExperts ? "model.layers.0.block_sparse_moe.experts.3.w2.weight" : "model.layers.0.mlp.down_proj.weight"].Type
        );
        Assert.DoesNotContain(blocks.Keys, name =>
            name.Contains("norm", StringComparison.Ordinal) || name.EndsWith("moe.gate.weight", StringComparison.Ordinal)
        );
        Assert.Null(TensorPlan.BlocksOf(shape, QuantizationAware.None));
    }

    /// <summary>Random blocks of all sizes, and those at which a rule could stumble.</summary>
    static float[] Blocks()
    {
        var random = new Random(7);
        var blocks = new List<float[]>();
        foreach (var exponent in Enumerable.Range(-45, 50))
        {
            for (var repeated = 0; repeated < 8; repeated++)
            {
                // Mantissas as well, so that scales lie anywhere between two numbers of float16.
                var scale = (1 + random.NextDouble()) * Math.Pow(2, exponent);
                blocks.Add([.. Normal(Size, random).Select(value => (float)(value * scale))]);
            }
        }

        blocks.Add(new float[Size]);
        blocks.Add([.. Enumerable.Repeat(-0f, Size)]);
        blocks.Add([.. Enumerable.Repeat(0.75f, Size)]);
        blocks.Add([.. Enumerable.Repeat(-0.75f, Size)]);
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => i % 2 == 0 ? 0.3f : -0.3f)]); // ties of the largest magnitude
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => (i % 17 - 8) / 2f)]); // between two codes
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => i % 32 == 5 ? 3f : 0)]); // one outlier
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => i % 32 == 5 ? -3f : 1e-3f)]);
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => i == 77 ? 100f : 1e-3f * (i % 7 - 3))]);
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => -MathF.Abs(MathF.Sin(i)))]); // negatives alone
        blocks.Add([.. Enumerable.Repeat(1e-30f, Size)]);
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => i % 3 * float.Epsilon)]);
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => (i % 5 - 2) * 1e-41f)]);
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => i % 2 == 0 ? 8 * 5.96e-8f * 1.5f : 0)]); // scales between two subnormal halves
        blocks.Add([.. Enumerable.Range(0, Size).Select(i => (i % 127 - 63) * 5.96e-8f * 1.5f)]);
        return [.. blocks.SelectMany(block => block)];
    }

    /// <returns>NaN where a value is within 1e-4 of the middle of two codes.</returns>
    static double[] Formula(GgmlType type, float[] block)
    {
        double Peak(IEnumerable<float> values) => values.MaxBy(Math.Abs);
        double Code(double value, double least, double most) =>
            Math.Abs(value - Math.Floor(value) - 0.5) < 1e-4 ? double.NaN : Math.Clamp(Math.Floor(value + 0.5), least, most);

        switch (type)
        {
            case GgmlType.F16:
                return [.. block.Select(value => (double)(Half)value)];
            case GgmlType.Q8_0:
                var eight = Math.Abs(Peak(block)) / 127;
                return [.. block.Select(value => (double)(Half)eight * Code(value / eight, -127, 127))];
            case GgmlType.Q4_0:
                var four = Peak(block) / -8;
                return [.. block.Select(value => (double)(Half)four * Code(value / four, -8, 7))];
            default:
                var peak = Peak(block);
                var d = (double)(Half)(peak / 4096);
                return
                [
                    .. block
                        .Chunk(16)
                        .SelectMany(group =>
                        {
                            var scale = group.Contains((float)peak) ? -128 : Code(Peak(group) / -32 / d, -128, 127);
                            return group.Select(value => d * scale * Code(value / (d * scale), -32, 31));
                        }),
                ];
        }
    }

    static float[] Rounded(GgmlType type, float[] values)
    {
        using var matrix = tensor(values, [values.Length / Size, Size]);
        new BlockRounding(type).Apply(matrix);
        return matrix.data<float>().ToArray();
    }

    static byte[] Encode(GgmlType type, float[] values)
    {
        var bytes = new byte[type.BytesOf(values.Length)];
        type.Encode(values, bytes);
        return bytes;
    }

    static float[] Read(GgmlType type, byte[] bytes)
    {
        if (type != GgmlType.F16)
        {
            return Ggml.Decode(type, bytes);
        }

        var values = new float[bytes.Length / 2];
        TensorDtype.Float16.Decode(bytes, values);
        return values;
    }

    static double MeanSquaredError(float[] values, float[] read) => values.Zip(read).Average(pair => Math.Pow(pair.First - pair.Second, 2));

    static float[] Normal(int count) => Normal(count, new Random(6));

    static float[] Normal(int count, Random random) =>
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                    (float)(0.05 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))
                ),
        ];
}
