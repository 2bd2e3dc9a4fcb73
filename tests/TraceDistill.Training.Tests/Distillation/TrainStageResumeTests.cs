using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Trainings that were interrupted, and run again.</summary>
public sealed class TrainStageResumeTests : TrainStageCase
{
    [Fact]
    public async Task RunAsync_InterruptedAndRunAgain_GivesTheBitsOfAnUninterruptedRun()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(Options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        Assert.Equal(await TrainAsync(Options, "whole"), await TrainAsync(Options, "resumed"));
    }

    /// <summary>Twenty row groups of a hundred kilobytes or so, of which a few are in memory.</summary>
    [Fact]
    public async Task RunAsync_MoreTracesThanTheBuffer_GoesOnAnywhereToTheBitsOfAnUninterruptedRun()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 5_000).Select(Folder.Create), rowGroupBytes: 1 << 17);
        var options = Options with
        {
            BatchTokens = 6_000,
            MicroBatchTokens = 3_000,
            NumTrainEpochs = 1.3,
            SaveSteps = 5,
            ShuffleBufferMb = 1,
            EvalFraction = 0.01,
        };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options with { DataloaderNumWorkers = 3 }, Folder.Out("resumed"), new CancelAt(17, stop), stop.Token)
        );

        var whole = await TrainAsync(options, "whole");
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.NotEqual(whole, await TrainAsync(options with { ShuffleBufferMb = 64 }, "mixed as a whole"));
    }

    [Theory]
    [InlineData(Difficulty.Length, 1)]
    [InlineData(Difficulty.Entropy, 64)]
    [InlineData(Difficulty.PassRate, 64)]
    public async Task RunAsync_CurriculumInterruptedAndRunAgain_GivesTheBitsOfAnUninterruptedRun(Difficulty by, int buffer)
    {
        await Folder.WriteAsync(
            Enumerable.Range(1, 2_000).Select(i => Folder.Create(i) with { Verdict = i % 3 == 0 ? "incorrect" : "correct" }),
            rowGroupBytes: 1 << 17
        );
        var options = Options with
        {
            BatchTokens = 3_000,
            MicroBatchTokens = 3_000,
            MaxSteps = 12,
            SaveSteps = 5,
            ShuffleBufferMb = buffer,
            Curriculum = new Curriculum { By = by, Until = 0.8 },
        };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options with { DataloaderNumWorkers = 4 }, Folder.Out("resumed"), new CancelAt(7, stop), stop.Token)
        );

        var whole = await TrainAsync(options, "whole");
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.NotEqual(whole, await TrainAsync(options with { Curriculum = null }, "without"));
    }

    [Fact]
    public async Task RunAsync_DoraInterruptedAndRunAgain_GivesTheBytesOfAnUninterruptedRun()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "base");
        var options = Tuned with { LoraR = 4, UseDora = true, LoraDropout = 0.1, NeftuneNoiseAlpha = 5 };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        Assert.Equal(await TrainAsync(options, "whole"), await TrainAsync(options, "resumed"));
        Assert.Equal(Adapter("whole"), Adapter("resumed"));

        byte[] Adapter(string name) => File.ReadAllBytes(Path.Combine(Folder.Out(name), "adapter", "adapter_model.safetensors"));
    }

    [Fact]
    public async Task RunAsync_SoftTargetsChangedSinceTheCheckpoint_IsRefused()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(Options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );
        Array.ForEach(Directory.GetFiles(Folder.Path), File.Delete);
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create).Select(Sharper));

        await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options, "resumed"));
    }

    static Trace Sharper(Trace trace) =>
        trace with
        {
            Logprobs = trace.Logprobs! with
            {
                TopLogprobs = [.. trace.Logprobs!.TopLogprobs.Select((logprob, i) => i % TraceFolder.K == 0 ? MathF.Log(0.62f) : logprob)],
            },
        };
}
