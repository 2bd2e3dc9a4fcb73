using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Traces and problems that a training learns from, and those that it leaves out.</summary>
public sealed class TrainingSetTests : TrainStageCase
{
    [Fact]
    public async Task RunAsync_AnotherTemplateAndProcessedLogprobs_TellsWhatWasDoneInALineEach()
    {
        var dataset = Folder.Dataset with
        {
            Logprobs = LogprobKind.Processed,
            Temperature = 0.6,
            TopP = 0.9,
            ChatTemplateHash = new string('0', 64),
        };
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create), dataset: dataset);
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(Options, Folder.Out("told"), observer, TestContext.Current.CancellationToken);

        Assert.Contains(observer.Messages, message =>
            message.StartsWith(
                "chat template: the student's is another than the teacher's, 20 prompts rendered with it",
                StringComparison.Ordinal
            )
        );
        Assert.Contains(observer.Messages, message => message.Contains("reported after temperature 0.6, which is undone"));
        Assert.Contains(observer.Messages, message => message.Contains("after top_p 0.9, which cannot be undone"));
    }

    [Fact]
    [Trait("Mistake", "finish_reason length taken for a success")]
    public async Task RunAsync_TracesThatDoNotServe_AreLeftOutAndCounted()
    {
        var wrong = Folder.Create(3) with { Verdict = "incorrect" };
        var cut = Folder.Create(4) with { FinishReason = "length" };
        await Folder.WriteAsync([Folder.Create(1), Folder.Create(2), wrong, cut, Folder.Create(1_000_000_000)]);
        var longest = Folder.Create(2).PromptTokenIds.Length + Folder.Create(2).Logprobs!.Count;

        var summary = await RunAsync(Options with { OnlyCorrect = true, MaxLength = longest }, "some");

        Assert.Equal((2, 1, 1, 1), (summary.Sequences, summary.NotCorrect, summary.Unfinished, summary.TooLong));
    }

    [Fact]
    public async Task RunAsync_TracesLongerThanThePositions_AreToldBeforeTrainingWithTheLineToAdd()
    {
        var heard = new RecordingObserver();
        await Folder.WriteAsync([Folder.Create(1), Folder.Create(2), Folder.Create(1_000_000_000)]);
        var longest = Folder.Create(1_000_000_000).PromptTokenIds.Length + Folder.Create(1_000_000_000).Logprobs!.Count;
        var positions = longest - 1;

        await TrainStage.RunAsync(
            Options with
            {
                Architecture = Options.Architecture! with { MaxPositionEmbeddings = positions },
            },
            Folder.Out("short"),
            heard,
            TestContext.Current.CancellationToken
        );

        Assert.Contains(
            $"1 of 3 sequences (33.3 %) are longer than the student's {positions} positions and left out; "
                + $"the longest has {longest} tokens: add max_position_embeddings: {longest} to architecture",
            heard.Messages.Select(message => message.Replace('\u00a0', ' '))
        );
    }

    [Fact]
    public async Task RunAsync_SpecialTokensWrittenInTexts_AreToldBeforeTraining()
    {
        var heard = new RecordingObserver();
        var quoting = Folder.Create(2) with { Messages = [new("user", "what does <|end|> mean?")] };
        var ended = Folder.Create(3) with { Logprobs = null, Generation = "3 and <|end|> are 9" };
        await Folder.WriteAsync([Folder.Create(1), quoting, ended]);

        await TrainStage.RunAsync(Options, Folder.Out("special"), heard, TestContext.Current.CancellationToken);

        Assert.Contains(heard.Messages, message =>
            message.Contains(
                "1 of 3 prompts have special tokens of the student in their text (<|end|> in problem problem-2): they are read as tokens"
            )
        );
        Assert.Contains(heard.Messages, message => message.Contains("answers with an end token of the student written in their text: 1;"));

        heard.Messages.Clear();
        await Folder.WriteAsync([Folder.Create(1), Folder.Create(2)]);
        await TrainStage.RunAsync(Options, Folder.Out("plain"), heard, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(heard.Messages, message => message.Contains("special tokens") || message.Contains("end token"));
    }

    [Fact]
    public async Task RunAsync_ProblemsWithOtherFieldNames_AreLearnedByTheirNames()
    {
        var file = Folder.Out("problems.jsonl");
        var lines = Enumerable
            .Range(1, 6)
            .Append(6)
            .Select(i => $$"""{"Body": "We have {{i}}.", "Ask": "Twice that?", "Key": "{{2 * i}}", "Worked": "{{i}} and {{i}}"}""");
        await File.WriteAllLinesAsync(file, lines, TestContext.Current.CancellationToken);
        var options = Options with
        {
            Traces = [],
            Problems = file,
            Tokenizer = Path.Combine(Folder.Path, TrainStage.StoredTokenizer),
            ProblemField = ["Body", "Ask"],
            AnswerField = "Key",
            SolutionField = "Worked",
            Duplicates = DuplicateProblems.Skip,
        };

        Assert.Equal(6, (await RunAsync(options, "named")).Sequences);
        var repeated = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options with { Duplicates = default }, "twice"));
        Assert.Contains("line 7: repeats the problem of line 6", repeated.Message);
    }

    [Fact]
    public async Task RunAsync_NothingLeft_IsRefusedByName()
    {
        await Folder.WriteAsync([Folder.Create(4) with { FinishReason = "length" }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options, "none"));

        Assert.Equal(
            $"{Folder.Path}: nothing to train on: 1 unfinished (collect with a larger max_tokens and reask: [length])",
            error.Message
        );
    }

    /// <summary>Beside worked solutions there is enough to learn from, and yet a weight for traces of which none is left.</summary>
    [Fact]
    public async Task RunAsync_WeightOfTracesOfWhichNoneIsLeft_IsRefusedByName()
    {
        await Folder.WriteAsync([Folder.Create(1) with { Verdict = "incorrect" }]);
        var file = Folder.Out("problems.jsonl");
        await File.WriteAllLinesAsync(
            file,
            Enumerable.Range(1, 6).Select(i => $$"""{"problem": "Twice {{i}}?", "answer": "{{2 * i}}", "solution": "{{i}} and {{i}}"}"""),
            TestContext.Current.CancellationToken
        );
        var options = Options with { OnlyCorrect = true, Problems = file, MaxSteps = 1 };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(options with { Traces = [new TraceSet { Path = Folder.Path, Weight = 1 }] }, "weighted")
        );

        Assert.StartsWith($"{Folder.Path}: nothing to train on: ", error.Message);
        Assert.Equal(6, (await RunAsync(options, "plain")).Sequences);
    }

    [Fact]
    public async Task RunAsync_AllTracesTooLong_SaysWhatToRaise()
    {
        await Folder.WriteAsync([Folder.Create(1)]);
        var length = Folder.Create(1).PromptTokenIds.Length + Folder.Create(1).Logprobs!.Count;

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options with { MaxLength = length - 1 }, "none"));

        Assert.EndsWith(
            $"nothing to train on: 1 of 1 sequences (100.0 %) are longer than max_length {length - 1} and left out; "
                + $"the longest has {length} tokens: raise max_length to {length}",
            error.Message.Replace('\u00a0', ' ')
        );
    }

    [Fact]
    public async Task RunAsync_PromptWithAnIdBeyondTheVocabulary_IsRefusedByTrace()
    {
        await Folder.WriteAsync([Folder.Create(1), Folder.Create(2) with { PromptTokenIds = [5, 270, 6] }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options, "none"));

        Assert.StartsWith($"{Folder.Path}: trace {2:x32} has token id 270", error.Message);
    }
}
