using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

[Trait("Category", "Numeric")]
public class RotaryAttentionTests
{
    internal static readonly ModelConfiguration OneHead = new()
    {
        Family = ModelFamily.Gemma2,
        VocabSize = 10,
        HiddenSize = 16,
        IntermediateSize = 16,
        NumHiddenLayers = 1,
        NumAttentionHeads = 2,
        NumKeyValueHeads = 1,
        HeadDim = 16,
        MaxPositionEmbeddings = 1 << 15,
        QueryPreAttnScalar = 8,
        AttentionSoftCap = 5,
    };

    /// <summary>Blocks and chunks begin anywhere: windows shorter, longer and as long as they are.</summary>
    [Theory]
    [InlineData(1, true)]
    [InlineData(31, true)]
    [InlineData(32, false)]
    [InlineData(33, true)]
    [InlineData(200, false)]
    [InlineData(700, true)]
    [InlineData(5_000, true)]
    public void Apply_Windows_EqualsAttentionByAWholeMaskAndItsGradient(int window, bool hasCap)
    {
        using var scope = NewDisposeScope();
        var shape = hasCap ? OneHead : OneHead with { AttentionSoftCap = null };
        using var attention = new RotaryAttention(shape, new LayerAttention(window, IsRotated: false));
        var batch = new TokenBatch(new int[1_300], [1_000, 300]);
        var (values, slopes) = (randn([1_300, 64], generator: new Generator(1)) * 2, randn([1_300, 32], generator: new Generator(2)));

        var (plain, plainGradient) = Run(values.to(ScalarType.Float64));
        var (kernel, kernelGradient) = Run(values);

        var input = values.to(ScalarType.Float64).requires_grad_(true);
        var expected = cat([Whole(input.narrow(0, 0, 1_000)), Whole(input.narrow(0, 1_000, 300))], 0);
        expected.backward([slopes.to(ScalarType.Float64)]);
        Rounding.Close(expected, plain, 1e-12);
        Rounding.Close(input.grad!, plainGradient, 1e-12);
        Rounding.Close(expected, kernel, Rounding.Of(2_000));
        Rounding.Close(input.grad!, kernelGradient, Rounding.Of(4_000));

        (Tensor Output, Tensor Gradient) Run(Tensor x)
        {
            var leaf = x.to(TestDevice.Current, copy: true).requires_grad_(true);
            var output = attention.Apply(leaf + 0.0, batch, batch.Starts);
            output.backward([slopes.to(x.dtype, TestDevice.Current)]);
            CustomGradient.Finish();
            return (output, leaf.grad!);
        }

        Tensor Whole(Tensor x)
        {
            var tokens = x.shape[0];
            var (q, k, v) = (x.narrow(1, 0, 32).reshape(tokens, 2, 16).transpose(0, 1), x.narrow(1, 32, 16), x.narrow(1, 48, 16));
            var scores = q.matmul(k.t()) / Math.Sqrt(8);
            scores = hasCap ? (scores / 5).tanh() * 5 : scores;
            var distance = arange(tokens).unsqueeze(1) - arange(tokens).unsqueeze(0);
            var seen = distance.ge(0).logical_and(distance.lt(window));
            scores = where(seen, scores, full_like(scores, -1e300));
            return scores.softmax(-1).matmul(v).transpose(0, 1).reshape(tokens, 32);
        }
    }

    /// <summary>So many scores that they are made in chunks, of all sequences at once: two of 512 queries' 409 and 103.</summary>
    [Fact]
    public void Apply_SoftCapWithoutAWindow_EqualsAttentionByAWholeMaskAndItsGradient()
    {
        const int Sequences = 40,
            Length = 512;
        using var scope = NewDisposeScope();
        using var attention = new RotaryAttention(OneHead, new LayerAttention(null, IsRotated: false));
        var batch = new TokenBatch(new int[Sequences * Length], [.. Enumerable.Repeat(Length, Sequences)]);
        var values = (randn([Sequences * Length, 64], generator: new Generator(1)) * 2).to(ScalarType.Float64);
        var slopes = randn([Sequences * Length, 32], generator: new Generator(2)).to(ScalarType.Float64);

        var leaf = values.to(TestDevice.Current, copy: true).requires_grad_(true);
        var output = attention.Apply(leaf + 0.0, batch, batch.Starts);
        output.backward([slopes.to(TestDevice.Current)]);
        CustomGradient.Finish();

        var input = values.requires_grad_(true);
        var x = input.reshape(Sequences, Length, 4, 16).transpose(1, 2); // [B, heads, T, d]
        var (q, k, v) = (x.narrow(1, 0, 2), x.narrow(1, 2, 1), x.narrow(1, 3, 1));
        var scores = (q.matmul(k.transpose(2, 3)) / Math.Sqrt(8) / 5).tanh() * 5;
        var hidden = ones(Length, Length, dtype: ScalarType.Bool).triu(1);
        var expected = where(hidden, full_like(scores, -1e300), scores).softmax(-1).matmul(v).transpose(1, 2).reshape(-1, 32);
        expected.backward([slopes]);
        Rounding.Close(expected, output, 1e-12);
        Rounding.Close(input.grad!, leaf.grad!, 1e-12);
    }

    /// <summary>Each sequence is rotated by the factors of its own length.</summary>
    [Fact]
    public void Apply_LongRope_TakesTheFactorsOfEachSequencesLength()
    {
        using var scope = NewDisposeScope();
        double[] shortFactor = [1, 1.5, 2, 3],
            longFactor = [1, 4, 8, 30];
        var shape = OneHead with
        {
            Family = ModelFamily.Phi3,
            QueryPreAttnScalar = null,
            AttentionSoftCap = null,
            MaxPositionEmbeddings = 64,
            PartialRotaryFactor = 0.5,
            RopeScaling = new RopeScaling
            {
                Type = RopeType.LongRope,
                OriginalMaxPositionEmbeddings = 16,
                ShortFactor = shortFactor,
                LongFactor = longFactor,
            },
        };
        using var attention = new RotaryAttention(shape, new LayerAttention(null));
        var batch = new TokenBatch(new int[60], [16, 17, 27]);
        var values = randn([60, 64], generator: new Generator(1));
        var magnitude = Math.Sqrt(1 + Math.Log(4) / Math.Log(16)); // Ding et al.: of the length that became four times as long

        var kernel = attention.Apply(values.to(TestDevice.Current, copy: true), batch, batch.Starts);
        var plain = attention.Apply(values.to(ScalarType.Float64, TestDevice.Current), batch, batch.Starts);

        var wide = values.to(ScalarType.Float64);
        var expected = cat(
            [
                Whole(wide.narrow(0, 0, 16), shortFactor),
                Whole(wide.narrow(0, 16, 17), longFactor),
                Whole(wide.narrow(0, 33, 27), longFactor),
            ],
            0
        );
        Rounding.Close(expected, plain, 1e-12);
        Rounding.Close(expected, kernel, Rounding.Of(500));

        Tensor Whole(Tensor x, double[] factors)
        {
            var tokens = (int)x.shape[0];
            var heads = x.reshape(tokens, 4, 16).transpose(0, 1).data<double>().ToArray();
            for (var head = 0; head < 3; head++)
            {
                for (var t = 0; t < tokens; t++)
                {
                    var at = (head * tokens + t) * 16;
                    for (var c = 0; c < 4; c++)
                    {
                        var angle = t * Math.Pow(10_000, -2.0 * c / 8) / factors[c];
                        var (low, high) = (heads[at + c], heads[at + 4 + c]);
                        heads[at + c] = magnitude * (low * Math.Cos(angle) - high * Math.Sin(angle));
                        heads[at + 4 + c] = magnitude * (high * Math.Cos(angle) + low * Math.Sin(angle));
                    }
                }
            }

            var rotated = tensor(heads).reshape(4, tokens, 16);
            var scores = rotated.narrow(0, 0, 2).matmul(rotated.narrow(0, 2, 1).transpose(1, 2)) / 4;
            var hidden = ones(tokens, tokens, dtype: ScalarType.Bool).triu(1);
            return where(hidden, full_like(scores, -1e300), scores)
                .softmax(-1)
                .matmul(rotated.narrow(0, 3, 1))
                .transpose(0, 1)
                .reshape(tokens, 32);
        }
    }
}
