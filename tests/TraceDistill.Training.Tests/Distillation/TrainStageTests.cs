using System.Text.Json;
using System.Text.RegularExpressions;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Options;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Inference;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

public sealed class TrainStageTests : TrainStageCase
{
    [Theory]
    [InlineData("llama", 2)]
    [InlineData("mingru", null)]
    public async Task RunAsync_BatchesOf1x8And8x1_GiveTheSameWeights(string family, int? heads)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var options = Options with { Architecture = Options.Architecture! with { ModelType = family, NumAttentionHeads = heads } };

        var once = await TrainAsync(options with { BatchTokens = 480 }, "once");
        var accumulated = await TrainAsync(options with { BatchTokens = 60, GradientAccumulationSteps = 8 }, "accumulated");
        var pieces = await TrainAsync(options with { BatchTokens = 480, MicroBatchTokens = 60 }, "pieces");

        Assert.Equal(once, accumulated);
        // AdamW divides by the size of the gradient, so that where it is near zero its rounding moves a weight: the way that all weights go
        // tells.
        using var first = ModelDirectory.Load(Path.Combine(Folder.Out("once"), TrainStage.InitialDirectory));
        Assert.InRange(SampleSequences.Distance(once, pieces) / SampleSequences.Distance(once, first.Flat.Span.ToArray()), 0, 1e-2);
    }

    [Fact]
    public async Task RunAsync_EpochsAndHeldOutProblems_GoesOverTheRestThatOftenAndKeepsItsCheckpoints()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 40).Select(Folder.Create));
        var observer = new RecordingObserver();
        var options = Options with
        {
            NumTrainEpochs = 2.5,
            EvalFraction = 0.25,
            EvalSteps = 4,
            LoadBestModelAtEnd = true,
            SaveSteps = 2,
            SaveTotalLimit = 2,
            EmaDecay = 0.9,
        };

        var summary = await TrainStage.RunAsync(options, Folder.Out("epochs"), observer, TestContext.Current.CancellationToken);

        Assert.InRange(summary.Sequences, 20, 39);
        Assert.Contains(observer.Messages, line =>
            line.EndsWith($"evaluating on {40 - summary.Sequences} held-out sequences", StringComparison.Ordinal)
        );
        Assert.Contains(observer.Messages, line => line.StartsWith("estimate: ", StringComparison.Ordinal));
        Assert.Contains(observer.Messages, line =>
            line.StartsWith($"step {summary.Steps}, held-out traces: loss ", StringComparison.Ordinal)
        );
        Assert.Single(observer.Messages, line => Regex.IsMatch(line, @"^waited for data for \d{1,3}\.\d\d ?% of the time$"));
        var waits = observer.Values.Where(values => values.ContainsKey("loss")).Select(values => values["data_wait"]).ToArray();
        Assert.NotEmpty(waits);
        Assert.All(waits, share => Assert.InRange(share, 0, 1));
        var last = (summary.Steps - 1) / 2 * 2;
        var kept = Directory.GetDirectories(Folder.Out("epochs"), "checkpoint-*").Select(Path.GetFileName).Order();
        Assert.Equal([$"checkpoint-{last - 2:000000}", $"checkpoint-{last:000000}"], kept);
        using var model = ModelDirectory.Load(Path.Combine(Folder.Out("epochs"), $"checkpoint-{last:000000}"));
        Assert.Equal(summary.Parameters, model.Count);
        Assert.Empty(Directory.GetFiles(Folder.Out("epochs"), ".training.best*"));
    }

    [Fact]
    public async Task RunAsync_MoreMemoryThanThereIs_SaysWhatToLower()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { BatchTokens = 2_000_000_000, MicroBatchTokens = 2_000_000_000 }, "huge")
        );

        Assert.Matches(
            @"^this training takes about [\d.]+ GB, and there are [\d.]+ GB: "
                + @"lower micro_batch_tokens \(now 2000000000\), set gradient_checkpointing: true, ",
            error.Message
        );
    }

    /// <summary>Not in a forward pass: in what runs beside it, here as an evaluation ends.</summary>
    [Fact]
    public async Task RunAsync_MemoryFillsWhileItTrains_SaysWhatToLower()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            TrainStage.RunAsync(
                Options with
                {
                    EvalFraction = 0.3,
                    EvalSteps = 2,
                },
                Folder.Out("full"),
                new FullAtMetrics(),
                TestContext.Current.CancellationToken
            )
        );

        Assert.Matches(
            "^memory is full while training on cpu: .*set gradient_checkpointing: true, .*"
                + "; with other workers or gradient_checkpointing it goes on from its last checkpoint, else it begins anew$",
            error.Message
        );
    }

    [Fact]
    public async Task RunAsync_BestByKlOfTracesWithoutSoftTargets_IsRefusedBeforeTheFirstStep()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create).Select(trace => trace with { Logprobs = null }));
        var options = Options with { EvalFraction = 0.3, MetricForBestModel = HeldOutMetric.Kl };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "kl"));

        Assert.Equal(
            "metric_for_best_model: kl is of soft targets, and the held-out traces have none; take loss, ce or top1, "
                + "or accuracy of answers to eval_problems",
            error.Message
        );
        Assert.False(Directory.Exists(Folder.Out("kl")));
        await RunAsync(options with { MetricForBestModel = HeldOutMetric.Ce }, "ce");
    }

    [Fact]
    public async Task RunAsync_FinishedAndRunAgain_LeavesEveryFileAsItIsAndTellsTheSame()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var first = await RunAsync(Options, "once");
        var files = Directory
            .GetFiles(Folder.Out("once"), "*", SearchOption.AllDirectories)
            .ToDictionary(file => file, File.GetLastWriteTimeUtc);

        Assert.Equal(first, await RunAsync(Options, "once"));

        Assert.Equal(
            files,
            Directory.GetFiles(Folder.Out("once"), "*", SearchOption.AllDirectories).ToDictionary(file => file, File.GetLastWriteTimeUtc)
        );
    }

    public static TheoryData<string> Families => [.. ModelFamilies.Names];

    /// <summary>The whole way of a family: from scratch, an adapter on top, answers and scores.</summary>
    /// <summary>A setting that a recipe may change without a stage beginning anew must not make another training of it either.</summary>
    [Fact]
    public void Deciding_OperationalSettings_HaveNoSay()
    {
        var settings = typeof(TrainOptions)
            .GetProperties()
            .Where(property => property.IsDefined(typeof(OperationalAttribute), true))
            .ToList();
        Assert.Contains(settings, setting => setting.Name == nameof(TrainOptions.GradientCheckpointing));
        foreach (var setting in settings)
        {
            TrainOptions options = new(),
                other = new();
            setting.SetValue(
                other,
                setting.GetValue(options) switch
                {
                    bool value => !value,
                    int value => value + 1,
                    DeviceChoice => new DeviceChoice(DeviceChoice.CpuWord),
                    var value => throw new NotSupportedException($"{setting.Name}: {value}"),
                }
            );

            Assert.NotEqual(JsonSerializer.Serialize(options), JsonSerializer.Serialize(other));
            Assert.Equal(
                JsonSerializer.Serialize(TrainingIdentity.Deciding(options)),
                JsonSerializer.Serialize(TrainingIdentity.Deciding(other))
            );
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public async Task RunAsync_EveryFamily_TrainsFromScratchTakesAdaptersAndGenerates(string family)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var isSliding = family is "mistral" or "phi3" or "gemma2" or "gemma3_text";
        var architecture = Options.Architecture! with
        {
            ModelType = family,
            NumHiddenLayers = 4,
            NumAttentionHeads = family == "mingru" ? null : 2,
            SlidingWindow = isSliding ? 9 : null,
        };

        await RunAsync(Options with { Architecture = architecture, MaxSteps = 60, LearningRate = 1e-2 }, "base");
        await RunAsync(Tuned with { LoraR = 2, MaxSteps = 4 }, "tuned");

        using var before = ModelDirectory.Load(Path.Combine(Folder.Out("base"), TrainStage.InitialDirectory));
        using ModelParameters after = ModelDirectory.Load(Folder.Out("base")),
            tuned = ModelDirectory.Load(Folder.Out("tuned"));
        Assert.Equal(family, after.Configuration.Family.ModelType());
        Assert.True(Divergence(after) < 0.7 * Divergence(before));
        Assert.NotEqual(after.Flat.Span.ToArray(), tuned.Flat.Span.ToArray());
        using var generator = LocalGenerator.Load(Folder.Out("tuned"), new EngineOptions { Threads = 1, CacheBytes = 4 << 20 });
        var answer = await generator.GenerateAsync(
            new GenerationRequest("1", [new ChatMessage("user", "add 3")], new SamplingSettings { MaxTokens = 20 }),
            TestContext.Current.CancellationToken
        );
        Assert.InRange(answer.CompletionTokens, 1, 20);

        double Divergence(ModelParameters model)
        {
            using var scorer = new TraceScorer(model);
            return scorer
                .Score([.. Enumerable.Range(1, 20).Select(Folder.Create)], TestContext.Current.CancellationToken)
                .SelectMany(scores => scores)
                .Average(score => score.Kl);
        }
    }

    [Fact]
    public async Task RunAsync_FolderWithTheModelOfOtherOptions_IsRefusedAndKeepsIt()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "taken");
        var weights = File.ReadAllBytes(Path.Combine(Folder.Out("taken"), "model.safetensors"));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { MaxSteps = 9 }, "taken"));

        Assert.StartsWith($"{Folder.Out("taken")}: holds a model", error.Message);
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(Folder.Out("taken"), "model.safetensors")));
    }

    [Fact]
    public async Task RunAsync_FolderWithAModelFromElsewhere_IsRefused()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var parameters = SampleSequences.Parameters();
        ModelDirectory.Save(Folder.Out("taken"), parameters);

        await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options, "taken"));

        Assert.False(Directory.Exists(Path.Combine(Folder.Out("taken"), TrainStage.InitialDirectory)));
    }

    [Theory]
    [InlineData(SoftTargetLayout.Compact)]
    [InlineData(SoftTargetLayout.Plain)]
    public async Task RunAsync_EitherLayout_LearnsFromSoftTargets(SoftTargetLayout layout)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create), layout);

        var soft = await TrainAsync(Options, "soft");
        var few = await TrainAsync(Options with { KdTopK = 1 }, "few");
        var hard = await TrainAsync(Options with { KdAlpha = Schedule.Constant(0) }, "hard");

        Assert.NotEqual(soft, few);
        Assert.NotEqual(soft, hard);
    }

    [Fact]
    public async Task RunAsync_TracesOfATask_LeavesItWithTheModelAndItsStart()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 5).Select(Folder.Create));
        var task = new TaskDescription
        {
            Prompts = [TaskPrompt.Load("Reasoning/SolveBoxed")],
            System = "Be brief.",
            MaxTokens = 99,
        };
        task.Save(Folder.Path);

        await RunAsync(Options, "student");

        Assert.All(["", TrainStage.InitialDirectory], folder =>
        {
            var read = TaskDescription.Load(Path.Combine(Folder.Out("student"), folder))!;
            Assert.True(read.IsPutAs(task));
            Assert.Equal(99, read.MaxTokens);
        });
        Directory.CreateDirectory(Folder.Out("exported"));
        HuggingFaceExport.Run(
            new ExportSource(Folder.Out("student"), null),
            Folder.Out("exported"),
            dtype: null,
            cancellationToken: TestContext.Current.CancellationToken
        );
        Assert.True(TaskDescription.Load(Folder.Out("exported"))!.IsPutAs(task));
    }

    sealed class FullAtMetrics : Data.Contracts.IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) => throw new OutOfMemoryException();

        public void Message(string text) { }
    }
}
