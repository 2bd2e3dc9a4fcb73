using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Teaching;

/// <summary>Every way to be taught in 16 bits, and with states that are made again on the way back.</summary>
[Trait("Category", "Numeric")]
public sealed class CombinedMethodsTests : TrainStageCase
{
    public static TheoryData<string> Ways() => ["states", "exits", "dense", "panel", "draws", "peers", "self"];

    /// <summary>
    /// Products of factors of 8 bits differ from those of 24 by 2⁻⁸ of their size each, and those of a sum add up as errors do that are
    /// independent of each other: the loss of a first step, of two layers and a head, is the exact one to a few percent.
    /// </summary>
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task RunAsync_InSixteenBits_EndsWithTheSameBitsHoweverItRuns(string way)
    {
        var exact = await WayAsync(way);
        var options = exact with { ComputeDtype = ComputeDtype.BFloat16 };

        var whole = await TrainAsync(options, "whole");

        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.Equal(whole, await TrainAsync(options with { Workers = 1 }, "one worker"));
        var (first, rounded) = (
            await RunAsync(exact with { MaxSteps = 1 }, "first"),
            await RunAsync(options with { MaxSteps = 1 }, "rounded")
        );
        Assert.Equal(first.Loss, rounded.Loss, 0.05 * Math.Abs(first.Loss));
        // A processor without such products computes in 24 bits.
        Assert.Equal(ComputeDtype.BFloat16.On(options.Device.Resolve()) == ComputeDtype.BFloat16, first.Loss != rounded.Loss);
    }

    /// <summary>What is made again is what was there, to the bit.</summary>
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task RunAsync_WithCheckpointing_EndsWithTheSameBits(string way)
    {
        var options = await WayAsync(way);

        Assert.Equal(await TrainAsync(options, "whole"), await TrainAsync(options with { GradientCheckpointing = true }, "less memory"));
    }

    async Task<TrainOptions> WayAsync(string way)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options with { MaxSteps = 20, LearningRate = 1e-2 }, "teacher");
        var taught = Options with { Teacher = Folder.Out("teacher"), Seed = 11 };
        return way switch
        {
            "states" => taught with
            {
                Objectives =
                [
                    new() { KlForward = new KlForward() },
                    new() { HiddenStates = new HiddenStates { Projection = StateProjection.Linear } },
                    new() { AttentionMaps = new AttentionMaps { HeadWeights = HeadWeights.Gradient } },
                    new() { ValueRelations = new ValueRelations { HeadWeights = HeadWeights.Learned } },
                    new() { Rkd = new Relations() },
                    new() { Adversarial = new Adversarial() },
                ],
            },
            "exits" => Options with
            {
                EarlyExits = new EarlyExits { Layers = [0], Alpha = 0.7 },
            },
            "dense" => taught,
            "panel" => Options with { Teachers = [new TeacherChoice { Traces = true }, Folder.Out("teacher")] },
            "draws" => taught with { KdSampling = SoftTargetSampling.RandomSampling, KdDraws = 12 },
            "peers" => Options with { Peers = [new PeerChoice(), new PeerChoice()] },
            _ => Options with { SelfTeacherDecay = 0.5 },
        };
    }
}
