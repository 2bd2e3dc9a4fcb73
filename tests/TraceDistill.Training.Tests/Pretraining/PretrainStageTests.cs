using TraceDistill.Data.Problems;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Pretraining;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Pretraining;

public sealed class PretrainStageTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    static PretrainOptions Options =>
        new()
        {
            Architecture = new ModelArchitecture
            {
                HiddenSize = 16,
                NumHiddenLayers = 1,
                NumAttentionHeads = 1,
                MaxPositionEmbeddings = 64,
            },
            VocabSize = 300,
            MaxSteps = 1,
            BatchTokens = 128,
            Workers = 1,
        };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_ProblemsLongerThanThePositions_AreLeftOutAndTold()
    {
        var (heard, file) = (new RecordingObserver(), Write("one and one", new string('7', 400)));

        Run(Options with { Problems = file }, heard);

        Assert.Contains(heard.Messages, message =>
            message.StartsWith($"{file}: 1 of 2 sequences (50", StringComparison.Ordinal)
            && message.Contains("are longer than the model's 64 positions and left out; the longest has ")
        );
        Assert.InRange(Assert.Single(heard.Values)["tokens"], 1, Options.BatchTokens);
        Assert.InRange(heard.Values[0]["data_wait"], 0, 1);
        Assert.Single(heard.Messages, message => message.StartsWith("waited for data for ", StringComparison.Ordinal));
        var loaded = Assert.Throws<InvalidInputException>(() => Run(Options with { Problems = Write(new string('7', 400)) }, heard));
        Assert.Contains(": nothing to train on: 1 of 1 sequences (100", loaded.Message);
        Assert.Contains(": add max_position_embeddings: ", loaded.Message);
    }

    [Fact]
    public void Run_GeneratedProblemsLongerThanThePositions_AreLeftOutOrRefused()
    {
        var heard = new RecordingObserver();
        PretrainOptions Of(int positions) =>
            Options with
            {
                Architecture = Options.Architecture with { MaxPositionEmbeddings = positions },
            };

        Run(Of(160) with { MaxSteps = 30, LoggingSteps = 1 }, heard);
        var error = Assert.Throws<InvalidInputException>(() => Run(Of(8), heard));

        // A longer one would be a batch of its own.
        Assert.All(heard.Values, values => Assert.InRange(values["tokens"], 1, 160));
        Assert.Contains(heard.Messages, message =>
            message.StartsWith("the first 1,000 generated problems: ", StringComparison.Ordinal)
            && message.Contains("are longer than the model's 160 positions and left out")
        );

        Assert.StartsWith("the first 1,000 generated problems: nothing to train on: 1000 of 1000 sequences (100", error.Message);
        Assert.Contains("to architecture", error.Message);
    }

    [Fact]
    public void Run_ForAQuantizedType_WritesAModelOnItsBlocks()
    {
        var options = Options with
        {
            QuantizationAware = QuantizationAware.Q8_0,
            Dtype = TensorDtype.Float32,
            Architecture = Options.Architecture with { HiddenSize = 32, MaxPositionEmbeddings = 512 },
        };
        var heard = new RecordingObserver();

        Run(options, heard);

        Assert.Contains(heard.Messages, message => message.StartsWith("training for Q8_0 (", StringComparison.Ordinal));
        var folder = Directory.GetDirectories(_folder.Path).Single(ModelDirectory.Exists);
        using var model = ModelDirectory.Load(folder);
        Assert.Equal(QuantizationAware.Q8_0, model.Configuration.QuantizationAware);
        var before = model.Flat.Span.ToArray();
        foreach (var name in model.Names)
        {
            TensorPlan.BlocksOf(model.Configuration, QuantizationAware.Q8_0)!.Round(name, model.Values(name), model.ShapeOf(name));
        }

        Assert.Equal(before, model.Flat.Span.ToArray());
        var problem = Assert.Single((options with { Dtype = TensorDtype.BFloat16 }).Validate(new(options)));
        Assert.Equal([nameof(PretrainOptions.Dtype)], problem.MemberNames);
    }

    /// <summary>The stream of a seed is that of its digits, so that those of 32 bits give what they always gave.</summary>
    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(1L + int.MaxValue)]
    [InlineData(long.MinValue)]
    public void Run_SeedOfAnySize_Trains(long seed)
    {
        var options = Options with { Seed = seed, Architecture = Options.Architecture with { MaxPositionEmbeddings = 1_024 } };

        Assert.Equal(1, Run(options, new RecordingObserver()).Steps);

        var own = ProblemGenerator.Stream(["all"], seed, ProblemSplit.Train).Take(24);
        Assert.NotEqual(own, ProblemGenerator.Stream(["all"], unchecked((int)seed), ProblemSplit.Train).Take(24));
    }

    PretrainSummary Run(PretrainOptions options, RecordingObserver observer) =>
        PretrainStage.Run(options, _folder.File($"{Guid.NewGuid():N}"), observer, TestContext.Current.CancellationToken);

    string Write(params string[] solutions)
    {
        var file = _folder.File($"{Guid.NewGuid():N}.jsonl");
        File.WriteAllLines(
            file,
            solutions.Index().Select(text => $$"""{"problem": "Twice {{text.Index}}?", "answer": "2", "solution": "{{text.Item}}"}""")
        );
        return file;
    }
}
