using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Inference;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

public sealed class TrainStageTests : IDisposable
{
    readonly TraceFolder _traces = new();

    TrainOptions Options => new()
    {
        Traces = [_traces.Path],
        Architecture = new ModelArchitecture { HiddenSize = 32, NumHiddenLayers = 2, NumAttentionHeads = 2, MaxPositionEmbeddings = 64 },
        MaxSteps = 8, BatchTokens = 240, SaveSteps = 3, Workers = 2,
    };

    /// <summary>Starts from what <see cref="Options"/> made in "base".</summary>
    TrainOptions Tuned => Options with { Architecture = null, Student = _traces.Out("base"), LearningRate = 1e-2 };

    [Fact]
    public async Task RunAsync_BatchesOf1x8And8x1_GiveTheSameWeights()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));

        var once = await TrainAsync(Options with { BatchTokens = 480 }, "once");
        var accumulated = await TrainAsync(Options with { BatchTokens = 60, GradientAccumulationSteps = 8 }, "accumulated");
        var pieces = await TrainAsync(Options with { BatchTokens = 480, MicroBatchTokens = 60 }, "pieces");

        Assert.Equal(once, accumulated);
        // AdamW divides by the size of the gradient, so that where it is near zero its rounding moves a weight: the way that all weights go
        // tells.
        using var first = ModelDirectory.Load(Path.Combine(_traces.Out("once"), TrainStage.InitialDirectory));
        Assert.InRange(SampleSequences.Distance(once, pieces) / SampleSequences.Distance(once, first.Flat.Span.ToArray()), 0, 1e-2);
    }

    [Fact]
    public async Task RunAsync_InterruptedAndRunAgain_GivesTheBitsOfAnUninterruptedRun()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TrainStage.RunAsync(Options, _traces.Out("resumed"), new CancelAt(5, stop), stop.Token));

        Assert.Equal(await TrainAsync(Options, "whole"), await TrainAsync(Options, "resumed"));
    }

    /// <summary>Twenty row groups of a hundred kilobytes or so, of which a few are in memory.</summary>
    [Fact]
    public async Task RunAsync_MoreTracesThanTheBuffer_GoesOnAnywhereToTheBitsOfAnUninterruptedRun()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 5_000).Select(_traces.Create), rowGroupBytes: 1 << 17);
        var options = Options with { BatchTokens = 6_000, MicroBatchTokens = 3_000, NumTrainEpochs = 1.3, SaveSteps = 5, ShuffleBufferMb = 1, EvalFraction = 0.01 };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => TrainStage.RunAsync(options with { DataloaderNumWorkers = 3 }, _traces.Out("resumed"), new CancelAt(17, stop), stop.Token));

        var whole = await TrainAsync(options, "whole");
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.NotEqual(whole, await TrainAsync(options with { ShuffleBufferMb = 64 }, "mixed as a whole"));
    }

    /// <summary>The teachers have vocabularies of their own; the second one's few traces come again and again.</summary>
    [Fact]
    public async Task RunAsync_SeveralDataSetsWithWeights_LearnsFromEachByItsShareOfTheTokens()
    {
        using var other = new TraceFolder("and are and are", 262);
        await _traces.WriteAsync(Enumerable.Range(1, 40).Select(_traces.Create));
        await other.WriteAsync(Enumerable.Range(1, 5).Select(other.Create));
        var (observer, stop) = (new RecordingObserver(), new CancellationTokenSource());
        var options = Options with
        {
            Traces = [new TraceSet { Path = _traces.Path, Weight = 3 }, new TraceSet { Path = other.Path, Weight = 1 }], NumTrainEpochs = 2,
        };

        var summary = await TrainStage.RunAsync(options, _traces.Out("whole"), observer, TestContext.Current.CancellationToken);

        Assert.Equal(45, summary.Sequences);
        Assert.InRange(summary.AlignedMass!.Value, 0.1, 1);
        Assert.Contains(observer.Messages, line => line.StartsWith($"{other.Path}: chat template: ", StringComparison.Ordinal));
        Assert.Matches($"{_traces.Path}: 75.0.% of the tokens, gone through 0\\.[678]\\d? times an epoch", string.Join('\n', observer.Messages));
        Assert.Matches($"{other.Path}: 25.0.% of the tokens, gone through \\d+(\\.\\d+)? times an epoch", string.Join('\n', observer.Messages));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TrainStage.RunAsync(options, _traces.Out("resumed"), new CancelAt(4, stop), stop.Token));
        Assert.Equal(summary, await RunAsync(options, "resumed"));
        Assert.NotEqual(summary.Loss, (await RunAsync(options with { Traces = [_traces.Path, other.Path] }, "as they are")).Loss);
        stop.Dispose();
    }

    [Fact]
    public async Task RunAsync_ADataSetWithNothingLeft_IsRefusedByItsName()
    {
        using var other = new TraceFolder();
        await _traces.WriteAsync([_traces.Create(1)]);
        await other.WriteAsync([other.Create(2) with { FinishReason = "length" }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { Traces = [_traces.Path, other.Path] }, "none"));

        Assert.StartsWith($"{other.Path}: nothing to train on", error.Message);
    }

    [Fact]
    public void Validate_DataSetsThatCannotBe_AreRefused()
    {
        Assert.Null(Refused("a", "b"));
        Assert.Null(Refused(new TraceSet { Path = "a", Weight = 0.2 }, new TraceSet { Path = "b", Weight = 5 }));
        Assert.Equal("a/ stands there 2 times; give it a larger weight instead", Refused("a/", "b", "a"));
        Assert.Equal("b has a weight and a has none; give every data set one, or none", Refused("a", new TraceSet { Path = "b", Weight = 1 }));

        string? Refused(params TraceSet[] sets)
        {
            var options = Options with { Traces = sets };
            return options.Validate(new ValidationContext(options)).SingleOrDefault()?.ErrorMessage;
        }
    }

    [Fact]
    public async Task RunAsync_EpochsAndHeldOutProblems_GoesOverTheRestThatOftenAndKeepsItsCheckpoints()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 40).Select(_traces.Create));
        var observer = new RecordingObserver();
        var options = Options with
        {
            NumTrainEpochs = 2.5, EvalFraction = 0.25, EvalSteps = 4, LoadBestModelAtEnd = true, SaveSteps = 2, SaveTotalLimit = 2, EmaDecay = 0.9,
        };

        var summary = await TrainStage.RunAsync(options, _traces.Out("epochs"), observer, TestContext.Current.CancellationToken);

        Assert.InRange(summary.Sequences, 20, 39);
        Assert.Contains(observer.Messages, line => line.EndsWith($"evaluating on {40 - summary.Sequences} held-out sequences", StringComparison.Ordinal));
        Assert.Contains(observer.Messages, line => line.StartsWith("estimate: ", StringComparison.Ordinal));
        Assert.Contains(observer.Messages, line => line.StartsWith($"step {summary.Steps}, held-out traces: loss ", StringComparison.Ordinal));
        var last = (summary.Steps - 1) / 2 * 2;
        var kept = Directory.GetDirectories(_traces.Out("epochs"), "checkpoint-*").Select(Path.GetFileName).Order();
        Assert.Equal([$"checkpoint-{last - 2:000000}", $"checkpoint-{last:000000}"], kept);
        using var model = ModelDirectory.Load(Path.Combine(_traces.Out("epochs"), $"checkpoint-{last:000000}"));
        Assert.Equal(summary.Parameters, model.Count);
        Assert.False(File.Exists(Path.Combine(_traces.Out("epochs"), ".training.best")));
    }

    [Fact]
    public async Task RunAsync_MoreMemoryThanThereIs_SaysWhatToLower()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { BatchTokens = 2_000_000_000, MicroBatchTokens = 2_000_000_000 }, "huge"));

        Assert.Matches(@"^this training takes about [\d.]+ GB, and there are [\d.]+ GB: lower micro_batch_tokens \(now 2000000000\), set gradient_checkpointing: true, ", error.Message);
    }

    [Fact]
    public async Task RunAsync_FinishedAndRunAgain_LeavesEveryFileAsItIsAndTellsTheSame()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        var first = await RunAsync(Options, "once");
        var files = Directory.GetFiles(_traces.Out("once"), "*", SearchOption.AllDirectories).ToDictionary(file => file, File.GetLastWriteTimeUtc);

        Assert.Equal(first, await RunAsync(Options, "once"));

        Assert.Equal(files, Directory.GetFiles(_traces.Out("once"), "*", SearchOption.AllDirectories).ToDictionary(file => file, File.GetLastWriteTimeUtc));
    }

    /// <summary>A base model without a chat template is taught, and served, behind the teacher's.</summary>
    [Fact]
    public async Task RunAsync_StudentWithoutAChatTemplate_TakesTheTeachersAndKeepsIt()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "base");
        var settings = Path.Combine(_traces.Out("base"), "tokenizer_config.json");
        File.WriteAllText(settings, """{"eos_token": "<|end|>"}""");
        var template = Tokenizer.Load(Path.Combine(_traces.Path, TrainStage.StoredTokenizer)).ChatTemplateSource;
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(Tuned, _traces.Out("tuned"), observer, TestContext.Current.CancellationToken);

        Assert.Equal(template, File.ReadAllText(Path.Combine(_traces.Out("tuned"), "chat_template.jinja")));
        Assert.Equal(template, Tokenizer.Load(_traces.Out("tuned")).ChatTemplateSource);
        Assert.Contains(observer.Messages, message => message.Contains("has no chat template; the student takes the teacher's"));
    }

    [Fact]
    public async Task RunAsync_AnotherTemplateAndProcessedLogprobs_TellsWhatWasDoneInALineEach()
    {
        var dataset = _traces.Dataset with { Logprobs = LogprobKind.Processed, Temperature = 0.6, TopP = 0.9, ChatTemplateHash = new string('0', 64) };
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create), dataset: dataset);
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(Options, _traces.Out("told"), observer, TestContext.Current.CancellationToken);

        Assert.Contains(observer.Messages, message => message.StartsWith("chat template: the student's is another than the teacher's, 20 prompts rendered with it", StringComparison.Ordinal));
        Assert.Contains(observer.Messages, message => message.Contains("reported after temperature 0.6, which is undone"));
        Assert.Contains(observer.Messages, message => message.Contains("after top_p 0.9, which cannot be undone"));
    }

    [Fact]
    public async Task RunAsync_StudentCutOutOfALargerModel_BeginsWithItsWeights()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options with { Architecture = Options.Architecture! with { NumHiddenLayers = 4 } }, "teacher");

        await RunAsync(Options with { InitFrom = _traces.Out("teacher") }, "student");

        using var teacher = ModelDirectory.Load(_traces.Out("teacher"));
        using var initial = ModelDirectory.Load(Path.Combine(_traces.Out("student"), TrainStage.InitialDirectory));
        using var student = ModelDirectory.Load(_traces.Out("student"));
        const string second = "model.layers.1.self_attn.k_proj.weight", third = "model.layers.2.self_attn.k_proj.weight";
        Assert.Equal(teacher.Values(third).ToArray(), initial.Values(second).ToArray());
        Assert.NotEqual(initial.Values(second).ToArray(), student.Values(second).ToArray());
    }

    public static TheoryData<string> Families => [.. ModelFamilies.Names];

    /// <summary>The whole way of a family: from scratch, an adapter on top, answers and scores.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public async Task RunAsync_EveryFamily_TrainsFromScratchTakesAdaptersAndGenerates(string family)
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        var isSliding = family is "mistral" or "phi3" or "gemma2" or "gemma3_text";
        var architecture = Options.Architecture! with { ModelType = family, NumHiddenLayers = 4, SlidingWindow = isSliding ? 9 : null };

        await RunAsync(Options with { Architecture = architecture, MaxSteps = 60, LearningRate = 1e-2 }, "base");
        await RunAsync(Tuned with { LoraR = 2, MaxSteps = 4 }, "tuned");

        using var before = ModelDirectory.Load(Path.Combine(_traces.Out("base"), TrainStage.InitialDirectory));
        using ModelParameters after = ModelDirectory.Load(_traces.Out("base")), tuned = ModelDirectory.Load(_traces.Out("tuned"));
        Assert.Equal(family, after.Configuration.Family.ModelType());
        Assert.True(Divergence(after) < 0.7 * Divergence(before));
        Assert.NotEqual(after.Flat.Span.ToArray(), tuned.Flat.Span.ToArray());
        using var generator = LocalGenerator.Load(_traces.Out("tuned"), new EngineOptions { Threads = 1, CacheBytes = 4 << 20 });
        var answer = await generator.GenerateAsync(
            new GenerationRequest("1", [new ChatMessage("user", "add 3")], new SamplingSettings { MaxTokens = 20 }), TestContext.Current.CancellationToken);
        Assert.InRange(answer.CompletionTokens, 1, 20);

        double Divergence(ModelParameters model)
        {
            using var scorer = new TraceScorer(model);
            return scorer.Score([.. Enumerable.Range(1, 20).Select(_traces.Create)], TestContext.Current.CancellationToken).SelectMany(scores => scores).Average(score => score.Kl);
        }
    }

    [Fact]
    public async Task RunAsync_InitFromAnotherFamilyThanAskedFor_IsRefusedByName()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "teacher");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { InitFrom = _traces.Out("teacher"), Architecture = Options.Architecture! with { ModelType = "gemma2" } }, "student"));
        Assert.Equal($"architecture: model_type is gemma2, and the student takes its weights from {_traces.Out("teacher")}, a llama model: leave it out", error.Message);
    }

    /// <summary>What is written is the base model with s·B·A added, by the adapter's own file, in float64.</summary>
    [Fact]
    public async Task RunAsync_Lora_WritesTheAdapterAndTheModelThatItIsMergedInto()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "base");

        var summary = await RunAsync(Tuned with { LoraR = 3, LoraTargetModules = ["q_proj", "down_proj"] }, "tuned");

        using var before = ModelDirectory.Load(_traces.Out("base"));
        using var initial = ModelDirectory.Load(Path.Combine(_traces.Out("tuned"), TrainStage.InitialDirectory));
        using var after = ModelDirectory.Load(_traces.Out("tuned"));
        using var adapter = SafetensorsFile.Open(Path.Combine(_traces.Out("tuned"), "adapter", "adapter_model.safetensors"));
        Assert.Equal(before.Flat.Span.ToArray(), initial.Flat.Span.ToArray());
        foreach (var name in before.Names)
        {
            var adapted = name.EndsWith("q_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal);
            var (expected, actual) = (before.Values(name).ToArray(), after.Values(name).ToArray());
            if (!adapted)
            {
                Assert.Equal(expected, actual);
                continue;
            }

            var key = $"base_model.model.{name[..^".weight".Length]}";
            var (a, b, inner) = (Read(key + ".lora_A.weight"), Read(key + ".lora_B.weight"), (int)before.ShapeOf(name)[1]);
            Assert.Contains(b, value => value != 0);
            for (var i = 0; i < expected.Length; i++)
            {
                var sum = Enumerable.Range(0, 3).Sum(j => (double)b[(i / inner * 3) + j] * a[(j * inner) + (i % inner)]);
                Assert.Equal(expected[i] + (2 * sum), actual[i], Rounding.Of(2) * Math.Abs(actual[i])); // the sum is float64, what is stored float32
            }
        }

        Assert.Equal(before.Count, summary.Parameters);
        Assert.Equal(2 * 3 * (32 + 32 + 32 + before.Configuration.IntermediateSize), summary.TrainedParameters);

        float[] Read(string name)
        {
            var values = new float[adapter.Entries[name].Shape.Aggregate(1L, (product, size) => product * size)];
            adapter.Read(adapter.Entries[name], values);
            return values;
        }
    }

    /// <summary>
    /// The base stays as it came; adapter and base together are the model, which others can merge again. It is float32: rounding would take
    /// from the adapter.
    /// </summary>
    [Fact]
    public async Task RunAsync_LoraOnABFloat16Student_KeepsItAndWhatTheAdapterAdds()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "wide");
        using (var wide = ModelDirectory.Load(_traces.Out("wide")))
        {
            ModelDirectory.CopyTokenizer(_traces.Out("wide"), _traces.Out("base"));
            wide.Configuration.Save(_traces.Out("base"), TensorDtype.BFloat16);
            WeightFiles.Write(_traces.Out("base"), DtypeOf, [.. wide.Names.Select(name => (name, wide.ShapeOf(name)))], name => wide.Values(name), long.MaxValue);
        }

        await RunAsync(Tuned with { LoraR = 3 }, "tuned");

        var base16 = File.ReadAllBytes(Path.Combine(_traces.Out("base"), "model.safetensors"));
        Assert.Equal(base16, File.ReadAllBytes(Path.Combine(_traces.Out("tuned"), TrainStage.InitialDirectory, "model.safetensors")));
        using (var file = SafetensorsFile.Open(Path.Combine(_traces.Out("tuned"), "model.safetensors")))
        {
            Assert.All(file.Entries.Values, entry => Assert.Equal(TensorDtype.Float32, entry.Dtype));
        }

        var adapter = Path.Combine(_traces.Out("tuned"), AdapterFiles.Folder);
        Directory.CreateDirectory(_traces.Out("merged"));
        HuggingFaceExport.Run(new ExportSource(_traces.Out("base"), adapter), _traces.Out("merged"), TensorDtype.Float32, TestContext.Current.CancellationToken);
        Assert.Equal(File.ReadAllBytes(Path.Combine(_traces.Out("tuned"), "model.safetensors")), File.ReadAllBytes(Path.Combine(_traces.Out("merged"), "model.safetensors")));
        var rounding = HuggingFaceExport.Run(new ExportSource(_traces.Out("base"), adapter), _traces.Out("merged"), dtype: null, TestContext.Current.CancellationToken).AdapterRounding;
        using ModelParameters before = ModelDirectory.Load(_traces.Out("base")), exact = ModelDirectory.Load(_traces.Out("tuned")), rounded = ModelDirectory.Load(_traces.Out("merged"));
        Assert.NotEqual(before.Flat.Span.ToArray(), rounded.Flat.Span.ToArray());
        Assert.Equal(Distance(rounded, exact) / Distance(exact, before), rounding!.Value, 1e-6);
        Assert.Equal(_traces.Tokenizer.Hash, Text.Tokenizers.Tokenizer.Load(adapter).Hash);

        static double Distance(ModelParameters left, ModelParameters right) => Math.Sqrt(left.Flat.Span.ToArray().Zip(right.Flat.Span.ToArray()).Sum(pair => Math.Pow((double)pair.First - pair.Second, 2)));

        static TensorDtype DtypeOf(string name) => name.EndsWith("norm.weight", StringComparison.Ordinal) ? TensorDtype.Float32 : TensorDtype.BFloat16;
    }

    [Fact]
    public async Task RunAsync_DoraInterruptedAndRunAgain_GivesTheBytesOfAnUninterruptedRun()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "base");
        var options = Tuned with { LoraR = 4, UseDora = true, LoraDropout = 0.1, NeftuneNoiseAlpha = 5 };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TrainStage.RunAsync(options, _traces.Out("resumed"), new CancelAt(5, stop), stop.Token));

        Assert.Equal(await TrainAsync(options, "whole"), await TrainAsync(options, "resumed"));
        Assert.Equal(Adapter("whole"), Adapter("resumed"));

        byte[] Adapter(string name) => File.ReadAllBytes(Path.Combine(_traces.Out(name), "adapter", "adapter_model.safetensors"));
    }

    [Fact]
    public async Task RunAsync_FrozenParameters_StayAsTheyAreAndTheOthersDoNot()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "base");

        var summary = await RunAsync(Tuned with { Optim = OptimizerKind.Muon, FrozenParameters = ["embed_tokens", @"^model\.layers\.0\.", "[kv]_proj", "norm"] }, "tuned");

        using var before = ModelDirectory.Load(_traces.Out("base"));
        using var after = ModelDirectory.Load(_traces.Out("tuned"));
        string[] trained = [.. before.Names.Where(name => !before.Values(name).SequenceEqual(after.Values(name)))];
        Assert.Equal(new[] { "self_attn.q", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down" }.Select(part => $"model.layers.1.{part}_proj.weight"), trained);
        Assert.Equal(trained.Sum(name => before.Values(name).Length), summary.TrainedParameters);
    }

    [Theory]
    [InlineData("embed_tokns", "frozen_parameters: no weight's name has \"embed_tokns\" in it; did you mean \"embed_tokens\"?")]
    [InlineData("^layers", "frozen_parameters: no weight's name has \"^layers\" in it; did you mean \"layers\"?")]
    [InlineData("model", "frozen_parameters: every weight of the model is frozen, and nothing is left to train")]
    public async Task RunAsync_FrozenParametersThatCannotBe_AreRefusedByName(string pattern, string message)
    {
        await _traces.WriteAsync([_traces.Create(1)]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { FrozenParameters = [pattern] }, "none"));

        Assert.Equal(message, error.Message);
    }

    [Fact]
    public void Validate_AdaptersThatCannotBe_AreRefusedByTheSetting()
    {
        Assert.Empty(Refused(Tuned with { LoraR = 4, UseDora = true, LoraAlpha = 16, LoraDropout = 0.1 }));
        Assert.Empty(Refused(Options with { LoraR = 4, InitFrom = "larger" }));
        Assert.Equal(["LoraR"], Refused(Tuned with { UseDora = true }));
        Assert.Equal(["LoraR"], Refused(Tuned with { LoraDropout = 0.1 }));
        Assert.Equal(["LoraR"], Refused(Tuned with { LoraTargetModules = ["q_proj"] }));
        Assert.Equal(["LoraR"], Refused(Options with { LoraR = 4 }));
        Assert.Equal(["Optim"], Refused(Tuned with { LoraR = 4, Optim = OptimizerKind.Muon }));
        Assert.Equal(["FrozenParameters"], Refused(Tuned with { LoraR = 4, FrozenParameters = ["norm"] }));
        Assert.Equal(["FrozenParameters"], Refused(Tuned with { FrozenParameters = ["layers.("] }));
        Assert.Equal(["LoraTargetModules"], Refused(Tuned with { LoraR = 4, LoraTargetModules = [] }));

        static IEnumerable<string> Refused(TrainOptions options) => options.Validate(new ValidationContext(options)).SelectMany(problem => problem.MemberNames);
    }

    [Fact]
    public async Task RunAsync_FolderWithTheModelOfOtherOptions_IsRefusedAndKeepsIt()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        await RunAsync(Options, "taken");
        var weights = File.ReadAllBytes(Path.Combine(_traces.Out("taken"), "model.safetensors"));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { MaxSteps = 9 }, "taken"));

        Assert.StartsWith($"{_traces.Out("taken")}: holds a model", error.Message);
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(_traces.Out("taken"), "model.safetensors")));
    }

    [Fact]
    public async Task RunAsync_FolderWithAModelFromElsewhere_IsRefused()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        using var parameters = SampleSequences.Parameters();
        ModelDirectory.Save(_traces.Out("taken"), parameters);

        await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options, "taken"));

        Assert.False(Directory.Exists(Path.Combine(_traces.Out("taken"), TrainStage.InitialDirectory)));
    }

    [Fact]
    public async Task RunAsync_SoftTargetsChangedSinceTheCheckpoint_IsRefused()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create));
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TrainStage.RunAsync(Options, _traces.Out("resumed"), new CancelAt(5, stop), stop.Token));
        Array.ForEach(Directory.GetFiles(_traces.Path), File.Delete);
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create).Select(Sharper));

        await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options, "resumed"));
    }

    [Theory]
    [InlineData(SoftTargetLayout.Compact)]
    [InlineData(SoftTargetLayout.Plain)]
    public async Task RunAsync_EitherLayout_LearnsFromSoftTargets(SoftTargetLayout layout)
    {
        await _traces.WriteAsync(Enumerable.Range(1, 20).Select(_traces.Create), layout);

        var soft = await TrainAsync(Options, "soft");
        var few = await TrainAsync(Options with { KdTopK = 1 }, "few");
        var hard = await TrainAsync(Options with { KdAlpha = Schedule.Constant(0) }, "hard");

        Assert.NotEqual(soft, few);
        Assert.NotEqual(soft, hard);
    }

    [Fact]
    public async Task RunAsync_TracesThatDoNotServe_AreLeftOutAndCounted()
    {
        var wrong = _traces.Create(3) with { Verdict = "incorrect" };
        var cut = _traces.Create(4) with { FinishReason = "length" };
        await _traces.WriteAsync([_traces.Create(1), _traces.Create(2), wrong, cut, _traces.Create(1_000_000_000)]);
        var longest = _traces.Create(2).PromptTokenIds.Length + _traces.Create(2).Logprobs!.Count;

        var summary = await RunAsync(Options with { OnlyCorrect = true, MaxLength = longest }, "some");

        Assert.Equal((2, 1, 1, 1), (summary.Sequences, summary.NotCorrect, summary.Unfinished, summary.TooLong));
    }

    [Fact]
    public async Task RunAsync_TracesLongerThanThePositions_AreToldBeforeTrainingWithTheLineToAdd()
    {
        var heard = new RecordingObserver();
        await _traces.WriteAsync([_traces.Create(1), _traces.Create(2), _traces.Create(1_000_000_000)]);
        var longest = _traces.Create(1_000_000_000).PromptTokenIds.Length + _traces.Create(1_000_000_000).Logprobs!.Count;
        var positions = longest - 1;

        await TrainStage.RunAsync(
            Options with { Architecture = Options.Architecture! with { MaxPositionEmbeddings = positions } }, _traces.Out("short"), heard, TestContext.Current.CancellationToken);

        Assert.Contains(
            $"1 of 3 sequences (33.3 %) are longer than the student's {positions} positions and left out; the longest has {longest} tokens: add max_position_embeddings: {longest} to architecture",
            heard.Messages.Select(message => message.Replace('\u00a0', ' ')));
    }

    [Fact]
    public async Task RunAsync_SpecialTokensWrittenInTexts_AreToldBeforeTraining()
    {
        var heard = new RecordingObserver();
        var quoting = _traces.Create(2) with { Messages = [new("user", "what does <|end|> mean?")] };
        var ended = _traces.Create(3) with { Logprobs = null, Generation = "3 and <|end|> are 9" };
        await _traces.WriteAsync([_traces.Create(1), quoting, ended]);

        await TrainStage.RunAsync(Options, _traces.Out("special"), heard, TestContext.Current.CancellationToken);

        Assert.Contains(heard.Messages, message => message.Contains(
            "1 of 3 prompts have special tokens of the student in their text (<|end|> in problem problem-2): they are read as tokens"));
        Assert.Contains(heard.Messages, message => message.Contains("answers with an end token of the student written in their text: 1;"));

        heard.Messages.Clear();
        await _traces.WriteAsync([_traces.Create(1), _traces.Create(2)]);
        await TrainStage.RunAsync(Options, _traces.Out("plain"), heard, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(heard.Messages, message => message.Contains("special tokens") || message.Contains("end token"));
    }

    [Fact]
    public async Task RunAsync_ProblemsWithOtherFieldNames_AreLearnedByTheirNames()
    {
        var file = _traces.Out("problems.jsonl");
        var lines = Enumerable.Range(1, 6).Append(6)
            .Select(i => $$"""{"Body": "We have {{i}}.", "Ask": "Twice that?", "Key": "{{2 * i}}", "Worked": "{{i}} and {{i}}"}""");
        await File.WriteAllLinesAsync(file, lines, TestContext.Current.CancellationToken);
        var options = Options with
        {
            Traces = [], Problems = file, Tokenizer = Path.Combine(_traces.Path, TrainStage.StoredTokenizer),
            ProblemField = ["Body", "Ask"], AnswerField = "Key", SolutionField = "Worked", Duplicates = DuplicateProblems.Skip,
        };

        Assert.Equal(6, (await RunAsync(options, "named")).Sequences);
        var repeated = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options with { Duplicates = default }, "twice"));
        Assert.Contains("line 7: repeats the problem of line 6", repeated.Message);
    }

    [Fact]
    public async Task RunAsync_StudentFromScratchWithoutPositions_HasAsManyAsItsTeacherMayWrite()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 5).Select(_traces.Create));
        var options = Options with { Architecture = Options.Architecture! with { MaxPositionEmbeddings = null } };
        await RunAsync(options, "unknown");
        new TaskDescription { Prompts = [TaskPrompt.Load("Reasoning/Solve")], MaxTokens = 3_000 }.Save(_traces.Path);
        await RunAsync(options, "told");

        var prompt = Enumerable.Range(1, 5).Max(index => _traces.Create(index).PromptTokenIds.Length);
        Assert.Equal(1_024, ModelConfiguration.Load(_traces.Out("unknown")).MaxPositionEmbeddings);
        Assert.Equal((3_000 + prompt + 63) / 64 * 64, ModelConfiguration.Load(_traces.Out("told")).MaxPositionEmbeddings);
    }

    [Fact]
    public async Task RunAsync_TracesOfATask_LeavesItWithTheModelAndItsStart()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 5).Select(_traces.Create));
        var task = new TaskDescription { Prompts = [TaskPrompt.Load("Reasoning/SolveBoxed")], System = "Be brief.", MaxTokens = 99 };
        task.Save(_traces.Path);

        await RunAsync(Options, "student");

        Assert.All(["", TrainStage.InitialDirectory], folder =>
        {
            var read = TaskDescription.Load(Path.Combine(_traces.Out("student"), folder))!;
            Assert.True(read.IsPutAs(task));
            Assert.Equal(99, read.MaxTokens);
        });
        Directory.CreateDirectory(_traces.Out("exported"));
        HuggingFaceExport.Run(new ExportSource(_traces.Out("student"), null), _traces.Out("exported"), dtype: null, TestContext.Current.CancellationToken);
        Assert.True(TaskDescription.Load(_traces.Out("exported"))!.IsPutAs(task));
    }

    [Fact]
    public async Task RunAsync_NothingLeft_IsRefusedByName()
    {
        await _traces.WriteAsync([_traces.Create(4) with { FinishReason = "length" }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options, "none"));

        Assert.Equal($"{_traces.Path}: nothing to train on: 1 unfinished (collect with a larger max_tokens and reask: [length])", error.Message);
    }

    [Fact]
    public async Task RunAsync_AllTracesTooLong_SaysWhatToRaise()
    {
        await _traces.WriteAsync([_traces.Create(1)]);
        var length = _traces.Create(1).PromptTokenIds.Length + _traces.Create(1).Logprobs!.Count;

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options with { MaxLength = length - 1 }, "none"));

        Assert.EndsWith(
            $"nothing to train on: 1 of 1 sequences (100.0 %) are longer than max_length {length - 1} and left out; the longest has {length} tokens: raise max_length to {length}",
            error.Message.Replace('\u00a0', ' '));
    }

    [Fact]
    public async Task RunAsync_StudentWithAnotherVocabulary_LearnsFromWhatItsTokensCanSay()
    {
        var broken = _traces.Create(21);
        broken.Logprobs!.TokenIds[0] = 200; // No text, which leaves the hard loss.
        await _traces.WriteAsync([.. Enumerable.Range(1, 20).Select(_traces.Create), broken]);
        var options = Options with { Tokenizer = _traces.WriteTokenizer("other", "and are and are", 262, "<|stop|>"), KdUldWeight = 0.5 };

        var summary = await RunAsync(options, "other");

        Assert.InRange(summary.AlignedTokens!.Value, 0.8, 0.98);
        Assert.InRange(summary.AlignedMass!.Value, 0.5, 1);
        Assert.Equal(262, ModelConfiguration.Load(_traces.Out("other")).VocabSize);
        var message = (await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options with { KdMinAlignment = 0.99 }, "none"))).Message;
        Assert.Contains("kd_min_alignment 0.99", message);
        Assert.False(Directory.Exists(_traces.Out("none")));
    }

    /// <summary>A base model with a chat template: its tokenizer ends texts, not turns.</summary>
    [Fact]
    public async Task RunAsync_TemplateThatEndsAnswersOtherwiseThanTheTokenizer_NamesThatEndForServers()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 5).Select(_traces.Create));
        var student = _traces.WriteTokenizer("base", "and are and are", 262, "<|endoftext|>", "<|im_end|>");

        await RunAsync(Options with { Tokenizer = student }, "chat");

        var written = Tokenizer.Load(_traces.Out("chat"));
        int turnEnd = Assert.Single(written.Encode("<|im_end|>")), textEnd = Assert.Single(written.Encode("<|endoftext|>"));
        Assert.Equal([textEnd, turnEnd], written.EndOfSequenceIds.Order());
        Assert.StartsWith($$"""{"eos_token_id":[{{turnEnd}},""", string.Concat(File.ReadAllText(Path.Combine(_traces.Out("chat"), "generation_config.json")).Where(letter => !char.IsWhiteSpace(letter))), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_TeachersTokenizerMissing_IsAskedFor()
    {
        await _traces.WriteAsync([_traces.Create(1)]);
        var other = _traces.WriteTokenizer("other", "and are and are", 262, "<|stop|>");
        Directory.Move(Path.Combine(_traces.Path, TrainStage.StoredTokenizer), Path.Combine(_traces.Path, "moved"));

        Assert.Contains("teacher_tokenizer", (await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { Tokenizer = other }, "none"))).Message);
        Assert.NotNull((await RunAsync(Options with { Tokenizer = other, TeacherTokenizer = Path.Combine(_traces.Path, "moved") }, "named")).AlignedMass);
    }

    [Fact]
    public async Task RunAsync_TracesOfAnotherTokenizer_AreRefusedByName()
    {
        await _traces.WriteAsync([_traces.Create(1)], tokenizerHash: "another");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options, "none"));

        Assert.StartsWith(_traces.Path, error.Message);
        Assert.Contains("tokenizer", error.Message);
    }

    [Fact]
    public async Task RunAsync_PromptWithAnIdBeyondTheVocabulary_IsRefusedByTrace()
    {
        await _traces.WriteAsync([_traces.Create(1), _traces.Create(2) with { PromptTokenIds = [5, 270, 6] }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options, "none"));

        Assert.StartsWith($"{_traces.Path}: trace {2:x32} has token id 270", error.Message);
    }

    static Trace Sharper(Trace trace) => trace with
    {
        Logprobs = trace.Logprobs! with { TopLogprobs = [.. trace.Logprobs!.TopLogprobs.Select((logprob, i) => i % TraceFolder.K == 0 ? MathF.Log(0.62f) : logprob)] },
    };

    Task<TrainSummary> RunAsync(TrainOptions options, string name) =>
        TrainStage.RunAsync(options, _traces.Out(name), SilentObserver.Instance, TestContext.Current.CancellationToken);

    async Task<float[]> TrainAsync(TrainOptions options, string name)
    {
        await RunAsync(options, name);
        using var trained = ModelDirectory.Load(_traces.Out(name));
        return trained.Flat.Span.ToArray();
    }

    public void Dispose() => _traces.Dispose();

    /// <summary>Keeps what is said.</summary>
    sealed class RecordingObserver : IRunObserver
    {
        public List<string> Messages { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values)
        {
        }

        public void Message(string text) => Messages.Add(text);
    }

    sealed class CancelAt(int step, CancellationTokenSource source) : IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
            if (done == step)
            {
                source.Cancel();
            }
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values)
        {
        }

        public void Message(string text)
        {
        }
    }
}
