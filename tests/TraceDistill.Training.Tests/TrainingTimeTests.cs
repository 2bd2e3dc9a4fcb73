using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Training.Distillation;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests;

public sealed class TrainingTimeTests
{
    static readonly ModelArchitecture Small = new()
    {
        HiddenSize = 8,
        IntermediateSize = 16,
        NumHiddenLayers = 1,
        NumAttentionHeads = 2,
    };

    static readonly TrainOptions Options = new()
    {
        MaxSteps = 10,
        BatchTokens = 500,
        GradientAccumulationSteps = 2,
    };

    /// <summary>
    /// Each of three students is trained, three products, and goes forward for the two others; an average goes forward once.
    /// </summary>
    [Fact]
    public void Estimate_ModelsThatLearnBeside_AreCounted()
    {
        var shape = (Small with { TieWordEmbeddings = true }).Configure(vocabularySize: 100, []);
        var larger = Small with { TieWordEmbeddings = true, IntermediateSize = 32 };
        TimeSpan Of(TrainOptions options) => TrainingTime.Estimate(options, shape, rate: 1e6);
        var alone = Of(Options).TotalSeconds;

        const double Own = 800 + 256 + 384 + 24,
            Larger = Own + 384;
        Assert.Equal(alone * 4 / 3, Of(Options with { SelfTeacherDecay = 0.9 }).TotalSeconds, 1e-6 * alone);
        Assert.Equal(
            alone * ((5 * Own) + (5 * Own) + (5 * Larger)) / (3 * Own),
            Of(Options with { Peers = [new PeerChoice(), new PeerChoice { Architecture = larger }] }).TotalSeconds,
            1e-6 * alone
        );
    }

    /// <summary>
    /// Weights in products: 100 × 8 of the output, 4 × 8 × 8 of attention, 3 × 8 × 16 of the feed-forward part, and 24 of norms.
    /// </summary>
    [Theory]
    [InlineData(true, null, false, 3)]
    [InlineData(false, null, false, 3)]
    [InlineData(true, 4, false, 2)]
    [InlineData(true, null, true, 4)]
    public void Estimate_CountsTheProductsOfAStep(bool isTied, int? rank, bool isCheckpointed, int products)
    {
        var shape = (Small with { TieWordEmbeddings = isTied }).Configure(vocabularySize: 100, []);

        var time = TrainingTime.Estimate(Options with { LoraR = rank, GradientCheckpointing = isCheckpointed }, shape, rate: 1e6);

        const double Weights = 800 + 256 + 384 + 24,
            Tokens = 1_000,
            Steps = 10,
            OtherWork = 1.2 + (240.0 / 8);
        Assert.Equal(2 * products * Weights * Tokens * Steps / 1e6 * OtherWork, time.TotalSeconds, tolerance: 1e-6);
    }

    /// <summary>
    /// 100 × 8 of the output, 3 × 8 × 20 of the recurrence, 3 × 8 × 16 of the feed-forward part, 24 of norms and 8 × 4 taps.
    /// </summary>
    [Fact]
    public void Estimate_RecurrentModel_CountsItsProducts()
    {
        var recurrent = Small with { ModelType = "mingru", NumAttentionHeads = null, StateSize = 20 };

        var time = TrainingTime.Estimate(Options, recurrent.Configure(vocabularySize: 100, []), rate: 1e6);

        const double Weights = 800 + 480 + 384 + 24 + 32;
        Assert.Equal(2 * 3 * Weights * 1_000 * 10 / 1e6 * (1.2 + (240.0 / 8)), time.TotalSeconds, tolerance: 1e-6);
    }

    [Theory]
    [InlineData(ComputeDtype.Float32)]
    [InlineData(ComputeDtype.BFloat16)]
    public void MeasureRate_AnyShape_IsARateOfThisMachine(ComputeDtype dtype)
    {
        foreach (var shape in new[] { Small, Small with { HiddenSize = 1 << 14, IntermediateSize = 1 << 14, NumAttentionHeads = 256 } })
        {
            Assert.InRange(
                TrainingTime.MeasureRate(workers: 2, microBatchTokens: 1_024, shape.Configure(vocabularySize: 100, []), CPU, dtype),
                1e6,
                1e15
            );
        }
    }
}
