using System.ComponentModel.DataAnnotations;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Students that are trained for a quantised file.</summary>
public sealed class TrainStageQuantizationTests : TrainStageCase
{
    TrainOptions ForQ4 => Options with { QuantizationAware = QuantizationAware.Q4_0, QuantizationStart = 0.5, LearningRate = 1e-2 };

    [Theory]
    [InlineData(MasterDtype.Float32, 0)]
    [InlineData(MasterDtype.BFloat16, 0)]
    [InlineData(MasterDtype.Float32, 0.9)]
    public async Task RunAsync_ForAQuantizedType_WritesModelsWhoseWeightsLieOnItsBlocks(MasterDtype master, double average)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var observer = new RecordingObserver();
        var options = ForQ4 with { MasterDtype = master, EmaDecay = average, SaveTotalLimit = 1 };

        await TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken);

        AssertOnBlocks(Folder.Out("student"));
        AssertOnBlocks(Path.Combine(Folder.Out("student"), "checkpoint-000006"));
        Assert.Contains("training for Q4_0 (14 matrices Q4_0, 1 Q8_0)", observer.Messages);
    }

    /// <summary>A value of a block has up to 18 significant bits, and bfloat16 has 8.</summary>
    [Theory]
    [InlineData(ComputeDtype.Float32)]
    [InlineData(ComputeDtype.BFloat16)]
    public async Task RunAsync_ForAQuantizedTypeInBFloat16_SaysThatItsValuesAreRounded(ComputeDtype dtype)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var observer = new RecordingObserver();
        var options = Options with { QuantizationAware = QuantizationAware.Q8_0, ComputeDtype = dtype, MaxSteps = 1 };

        await TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken);

        Assert.Equal(
            dtype == ComputeDtype.BFloat16 && ComputeDtypes.MultipliesBFloat16,
            observer.Messages.Exists(message =>
                message.StartsWith("products in bfloat16 round the file's values", StringComparison.Ordinal)
            )
        );
    }

    [Fact]
    public async Task RunAsync_ForAQuantizedType_IsEvaluatedAsTheModelThatIsWritten()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var observer = new RecordingObserver();
        var options = ForQ4 with { EvalFraction = 0.2, EvalSteps = 4, LoadBestModelAtEnd = true, EmaDecay = 0.5 };

        await TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken);

        var best = observer.Values.Where(values => values.ContainsKey("eval_loss")).MinBy(values => values["eval_loss"])!;
        var again = new RecordingObserver();
        await TrainStage.RunAsync(
            // One step that changes nothing, and the same traces held out.
            options with
            {
                QuantizationAware = QuantizationAware.None,
                EmaDecay = 0,
                Architecture = null,
                Student = Folder.Out("student"),
                LearningRate = 1e-12,
                WeightDecay = 0,
                MaxSteps = 1,
            },
            Folder.Out("again"),
            again,
            TestContext.Current.CancellationToken
        );
        var seen = again.Values.First(values => values.ContainsKey("eval_loss"));
        Assert.Equal(best["eval_ce"], seen["eval_ce"], 1e-7);
        Assert.Equal(best["eval_kl"], seen["eval_kl"], 1e-7);
    }

    /// <summary>Before the start passes read the weights, and what is written has the file's values still.</summary>
    [Theory]
    [InlineData(ComputeDtype.Float32)]
    [InlineData(ComputeDtype.BFloat16)]
    public async Task RunAsync_ForAQuantizedTypeThatIsNeverBegunWith_IsTheOrdinaryTrainingRounded(ComputeDtype dtype)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var options = ForQ4 with { QuantizationStart = 1, ComputeDtype = dtype };
        await RunAsync(options with { QuantizationAware = QuantizationAware.None }, "ordinary");

        var actual = await TrainAsync(options, "never");

        using var ordinary = ModelDirectory.Load(Folder.Out("ordinary"));
        Assert.NotEqual(ordinary.Flat.Span.ToArray(), actual);
        Round(ordinary);
        Assert.Equal(ordinary.Flat.Span.ToArray(), actual);
        Assert.NotEqual(actual, await TrainAsync(options with { QuantizationStart = 0.5 }, "half"));
        Assert.NotEqual(
            await TrainAsync(options with { QuantizationStart = 0 }, "from the first step"),
            await TrainAsync(options with { QuantizationStart = 0.5 }, "half")
        );
    }

    [Fact]
    public async Task RunAsync_ForAQuantizedTypeInterruptedAndRunAgain_GivesTheBitsOfAnUninterruptedRun()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(ForQ4, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        var whole = await TrainAsync(ForQ4, "whole");
        Assert.Equal(whole, await TrainAsync(ForQ4, "resumed"));
        Assert.NotEqual(whole, await TrainAsync(ForQ4 with { QuantizationAware = QuantizationAware.None }, "for float32"));
    }

    [Fact]
    public async Task RunAsync_FromAStudentThatWasTrainedForAType_WritesAModelThatIsForNone()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(ForQ4, "base");

        await RunAsync(Tuned, "tuned");

        Assert.Equal(QuantizationAware.None, ModelConfiguration.Load(Folder.Out("tuned")).QuantizationAware);
    }

    [Fact]
    public void Validate_AdaptersForAQuantizedType_AreRefused()
    {
        var options = ForQ4 with { Architecture = null, Student = "student", LoraR = 4 };

        var problem = Assert.Single(options.Validate(new(options)));

        Assert.Equal([nameof(TrainOptions.QuantizationAware)], problem.MemberNames);
    }

    static void AssertOnBlocks(string folder)
    {
        using var model = ModelDirectory.Load(folder);
        Assert.Equal(QuantizationAware.Q4_0, model.Configuration.QuantizationAware);
        var before = model.Flat.Span.ToArray();
        Round(model);
        Assert.Equal(before, model.Flat.Span.ToArray());
    }

    static void Round(ModelParameters model)
    {
        var blocks = TensorPlan.BlocksOf(model.Configuration, QuantizationAware.Q4_0)!;
        foreach (var name in model.Names)
        {
            blocks.Round(name, model.Values(name), model.ShapeOf(name));
        }
    }

    [Fact]
    public async Task RunAsync_RecurrentStudent_IsRefusedByName()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var options = ForQ4 with
        {
            Architecture = new ModelArchitecture
            {
                ModelType = "mingru",
                HiddenSize = 32,
                NumHiddenLayers = 2,
                MaxPositionEmbeddings = 64,
            },
        };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "recurrent"));

        Assert.StartsWith("a mingru model cannot have the values of a GGUF file", error.Message);
        Assert.Contains("quantization_aware", error.Message);
    }

    [Fact]
    public void Validate_AStartWithoutBlocks_IsRefused() =>
        Assert.Equal(
            [nameof(TrainOptions.QuantizationStart)],
            (Options with { QuantizationStart = 0.5 })
                .Validate(new ValidationContext(Options))
                .Select(problem => problem.MemberNames.Single())
        );
}
