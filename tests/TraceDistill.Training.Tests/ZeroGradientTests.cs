using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests;

/// <summary>Trainings in which nothing has a slope end with an error, as soon as that is known.</summary>
public sealed class ZeroGradientTests : TrainStageCase
{
    [Fact]
    public void Validate_WeightsThatAreAllZero_AreRefusedByName()
    {
        ObjectiveChoice[] objectives = [new() { CrossEntropy = new CrossEntropy { Weight = Schedule.Constant(0) } }];
        Assert.Equal(["Objectives"], Refused(Options with { Objectives = objectives }));
        ObjectiveChoice[] growing =
        [
            new()
            {
                CrossEntropy = new CrossEntropy
                {
                    Weight = new Schedule
                    {
                        Kind = ScheduleKind.Linear,
                        From = 0,
                        To = 1,
                    },
                },
            },
        ];
        Assert.Empty(Refused(Options with { Objectives = growing }));

        static IEnumerable<string> Refused(TrainOptions options) =>
            options.Validate(new ValidationContext(options)).Select(problem => problem.MemberNames.Single());
    }

    /// <summary>The states of the first layer do not depend on what follows it; nor does it take the traces to know that.</summary>
    [Fact]
    public async Task RunAsync_LayersOfComparedStatesFrozen_IsRefusedBeforeTheTracesAreRead()
    {
        await WriteAsync();
        await RunAsync(Options, "base");
        var options = Tuned with
        {
            Traces = [Folder.Out("no traces")],
            Teacher = Folder.Out("base"),
            Tokenizer = null,
            Objectives = [new() { HiddenStates = new HiddenStates { Layers = LayerMap.Parse("0:0", null) } }],
            FrozenParameters = ["embed_tokens", "layers\\.0\\."],
        };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student"));

        Assert.Equal(
            "objectives: hidden_states compares states of layers up to 0, and frozen_parameters leaves none of the parameters trainable "
                + "that these depend on: nothing would be learned; compare later layers, freeze fewer parameters, or add cross_entropy",
            error.Message
        );
    }

    [Fact]
    public async Task RunAsync_WeightsThatAreAllZero_IsRefusedAtTheFirstStep()
    {
        await WriteAsync();
        await RunAsync(Options, "base");
        using (var model = ModelDirectory.Load(Folder.Out("base")))
        {
            model.Flat.Span.Clear();
            ModelDirectory.Save(Folder.Out("base"), model);
        }

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Tuned, "student"));

        Assert.Equal(
            "step 1: the gradient of every trainable parameter is 0, and nothing would be learned: all weights of the model are 0; take "
                + "another checkpoint, or train it from scratch (architecture)",
            error.Message
        );
    }

    [Fact]
    public async Task RunAsync_AdaptersThatTheObjectivesDoNotDependOn_IsRefusedAtTheFirstStep()
    {
        await WriteAsync();
        await RunAsync(Options, "base");
        var options = Tuned with
        {
            Teacher = Folder.Out("base"),
            Objectives = [new() { HiddenStates = new HiddenStates { Layers = LayerMap.Parse("0:1", null) } }],
            LoraR = 2,
            LoraTargetModules = ["layers.1.mlp.up_proj"],
        };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student"));

        Assert.StartsWith("step 1: the gradient of every trainable parameter is 0", error.Message);
        Assert.EndsWith("the objectives do not depend on the parameters that lora_target_modules names", error.Message);
    }

    /// <summary>B is 0 at first, so that A has no slope; B has.</summary>
    [Fact]
    public async Task RunAsync_Adapters_Learn()
    {
        await WriteAsync();
        await RunAsync(Options, "base");

        Assert.True((await RunAsync(Tuned with { LoraR = 2 }, "student")).Loss > 0);
    }

    [Fact]
    public async Task RunAsync_WeightThatGrowsFromZero_Learns()
    {
        await WriteAsync();
        var growing = new CrossEntropy
        {
            Weight = new Schedule
            {
                Kind = ScheduleKind.Linear,
                From = 0,
                To = 1,
            },
        };

        Assert.True((await RunAsync(Options with { Objectives = [new() { CrossEntropy = growing }] }, "student")).Loss > 0);
    }

    /// <summary>Taught by itself alone at first, and by the drawn tokens from half of the steps on.</summary>
    [Fact]
    public async Task RunAsync_SelfTeacherBeforeTheDrawnTokens_LearnsFromThese()
    {
        await WriteAsync();
        var alpha = new Schedule
        {
            Kind = ScheduleKind.Step,
            From = 1,
            To = 0.5,
        };

        var trained = await TrainAsync(Options with { SelfTeacherDecay = 0.9, KdAlpha = alpha }, "student");

        using var before = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.InitialDirectory));
        Assert.NotEqual(before.Flat.Span.ToArray(), trained);
    }

    /// <summary>
    /// Tokens without soft targets have no loss without cross entropy; that others follow is not known before they are read.
    /// </summary>
    [Fact]
    public async Task RunAsync_NoTraceHasSoftTargets_IsRefusedInTheEndOnResumingToo()
    {
        await Folder.WriteAsync(
            Enumerable.Range(1, 20).Select(Folder.Create).Select(trace => trace with { Logprobs = null }),
            dataset: Folder.Dataset with
            {
                TopK = 0,
            }
        );
        var options = Options with { Objectives = [new() { KlForward = new KlForward() }] };
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("student"), new CancelAt(5, stop), stop.Token)
        );

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student"));

        Assert.StartsWith("nothing was learned: none of the 8 batches had a gradient", error.Message);
    }

    Task WriteAsync() => Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
}
