using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

public sealed class TrainingSurveyTests : IDisposable
{
    readonly TraceFolder _traces = new();

    [Fact]
    public async Task AddAsync_SeveralRowGroups_TellsTheLengthsThatTheyAreReadWith()
    {
        await _traces.WriteAsync(
            Enumerable.Range(1, 300).Select(i => _traces.Create(i) with { FinishReason = i % 7 == 0 ? "length" : "stop" }),
            rowGroupBytes: 1 << 14
        );
        var (shards, survey) = (await OpenAsync(), Survey(new TrainOptions()));

        var groups = await survey.AddAsync(shards, TestContext.Current.CancellationToken);

        Assert.InRange(groups.Count, 4, 100);
        Assert.Equal((300, 258, 42), (groups.Sum(group => group.Lengths.Length), survey.Fitting, survey.Unfinished));
        var first = 1;
        foreach (var group in groups)
        {
            // Kept the first time, from the shards the second time.
            foreach (var rows in new[] { group.Read(), group.Read() })
            {
                Assert.Equal(group.Lengths, rows.Select(row => row?.Ids.Length ?? 0));
                Assert.Equal(group.Bytes, rows.Sum(row => row?.Bytes ?? 0));
                Assert.All(rows.Index(), row => Assert.Equal(Expected(first + row.Index), row.Item?.Ids));
            }

            first += group.Lengths.Length;
        }

        int[]? Expected(int index) =>
            index % 7 == 0 ? null : [.. _traces.Create(index).PromptTokenIds, .. _traces.Create(index).Logprobs!.TokenIds];
    }

    [Fact]
    public async Task Read_TracesThatWereReplacedSince_IsRefusedByName()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 30).Select(_traces.Create));
        var options = new TrainOptions { ShuffleBufferMb = 1 };
        var group = Assert.Single(await Survey(options).AddAsync(await OpenAsync(), TestContext.Current.CancellationToken));
        _ = group.Read();

        await _traces.WriteAsync(Enumerable.Range(1, 30).Select(i => _traces.Create(i * 1_000_003)));

        Assert.StartsWith(
            $"{_traces.Path}: is not what it was when the training began",
            Assert.Throws<InvalidInputException>(group.Read).Message
        );
    }

    [Fact]
    public async Task HoldOutAsync_MoreThanIsKept_KeepsTheFirstOnesAndCountsOn()
    {
        await _traces.WriteAsync(Enumerable.Range(1, 50).Select(_traces.Create));
        var lengths = Enumerable
            .Range(1, 50)
            .Select(i => _traces.Create(i).PromptTokenIds.Length + _traces.Create(i).Logprobs!.Count)
            .ToArray();
        var survey = Survey(new TrainOptions(), heldOutTokens: lengths[..10].Sum());

        await survey.HoldOutAsync(await OpenAsync(), TestContext.Current.CancellationToken);

        Assert.Equal(lengths[..10], survey.HeldOut.Select(sequence => sequence.Ids.Length));
        Assert.Equal(50, survey.HeldOutFound);
    }

    [Fact]
    public async Task AddAsync_CurriculumByEntropy_NotesTheMeanEntropyOfTheSoftTargets()
    {
        // The second's soft targets are sharper: other shares, and another tail.
        double[][] shares =
        [
            [0.6, 0.2, 0.1, 0.05],
            [0.9, 0.05, 0.02, 0.01],
        ];
        await _traces.WriteAsync([_traces.Create(1), Sharper(_traces.Create(2), shares[1])], SoftTargetLayout.Plain);

        var group = await LookAsync(new TrainOptions { Curriculum = new Curriculum { By = Difficulty.Entropy } });

        var expected = shares.Select(row => row.Append(1 - row.Sum()).Sum(share => -share * Math.Log(share)));
        Assert.All(group.Difficulties!.Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-5));
    }

    [Fact]
    public async Task AddAsync_CurriculumByPassRate_NotesTheShareOfTheProblemsTracesThatAreWrong()
    {
        string[] verdicts = ["correct", "incorrect", "correct", "unverified", "correct", "incorrect"];
        int[] problems = [1, 1, 2, 2, 2, 3];
        await _traces.WriteAsync(
            verdicts
                .Zip(problems, (verdict, problem) => (verdict, problem))
                .Select((trace, i) => _traces.Create(i + 1) with { Verdict = trace.verdict, ProblemId = $"problem-{trace.problem}" })
        );

        var group = await LookAsync(
            new TrainOptions
            {
                OnlyCorrect = true,
                Curriculum = new Curriculum { By = Difficulty.PassRate },
            }
        );

        Assert.Equal([0.5f, 0.5f, 1 - 2 / 3f, 1 - 2 / 3f, 1 - 2 / 3f, 1], group.Difficulties!);
        Assert.Equal([true, false, true, false, true, false], group.Lengths.Select(length => length > 0));
    }

    /// <summary>Both number their problems from 1, and mean other ones.</summary>
    [Fact]
    public async Task AddAsync_CurriculumByPassRateOfTwoDataSets_CountsEachSetsProblemsByThemselves()
    {
        using var other = new TraceFolder();
        await _traces.WriteAsync([_traces.Create(1) with { Verdict = "correct" }, _traces.Create(2) with { Verdict = "incorrect" }]);
        await other.WriteAsync([other.Create(1) with { Verdict = "incorrect" }, other.Create(2) with { Verdict = "incorrect" }]);
        using var survey = Survey(new TrainOptions { Curriculum = new Curriculum { By = Difficulty.PassRate } });

        var first = Assert.Single(await survey.AddAsync(await OpenAsync(), TestContext.Current.CancellationToken));
        var second = Assert.Single(await survey.AddAsync(await OpenAsync(other), TestContext.Current.CancellationToken));
        survey.CompleteDifficulties();

        Assert.Equal([0f, 1f], first.Difficulties!);
        Assert.Equal([1f, 1f], second.Difficulties!);
    }

    [Theory]
    [InlineData(Difficulty.PassRate, "curriculum by pass_rate is of verdicts, and no trace has one: take length or entropy")]
    [InlineData(Difficulty.Entropy, "curriculum by entropy is of soft targets, and no trace has any: take length or pass_rate")]
    public async Task CompleteDifficulties_TracesThatTellNone_AreRefused(Difficulty by, string message)
    {
        await _traces.WriteAsync([_traces.Create(1) with { Verdict = "unverified", Logprobs = null }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            LookAsync(
                new TrainOptions
                {
                    Traces = [_traces.Path],
                    Curriculum = new Curriculum { By = by },
                }
            )
        );

        Assert.Equal($"{_traces.Path}: {message}", error.Message);
    }

    [Fact]
    public async Task AddAsync_NoCurriculumOrOneByLength_NotesNothing()
    {
        await _traces.WriteAsync([_traces.Create(1)]);

        Assert.Null((await LookAsync(new TrainOptions())).Difficulties);
        Assert.Null((await LookAsync(new TrainOptions { Curriculum = new Curriculum() })).Difficulties);
    }

    async Task<SequenceGroup> LookAsync(TrainOptions options)
    {
        using var survey = Survey(options);
        var group = Assert.Single(await survey.AddAsync(await OpenAsync(), TestContext.Current.CancellationToken));
        survey.CompleteDifficulties();
        return group;
    }

    static Trace Sharper(Trace trace, double[] shares) =>
        trace with
        {
            Logprobs = trace.Logprobs! with
            {
                TopLogprobs = [.. trace.Logprobs!.TopLogprobs.Select((_, i) => (float)Math.Log(shares[i % TraceFolder.K]))],
            },
        };

    public void Dispose() => _traces.Dispose();

    ChatSequence Chat => new(_traces.Tokenizer, ChatTemplate.Load(Path.Combine(_traces.Path, TrainStage.StoredTokenizer)));

    Task<TraceShards> OpenAsync(TraceFolder? folder = null) =>
        TraceShards.OpenAsync(
            (folder ?? _traces).Path,
            teacherTokenizer: null,
            topK: null,
            _traces.Tokenizer,
            Chat,
            teachers: null,
            prompts: null,
            TestContext.Current.CancellationToken
        );

    TrainingSurvey Survey(TrainOptions options, long heldOutTokens = TrainingSurvey.HeldOutTokens) =>
        new(options, _traces.Tokenizer, Chat, maxLength: 1_000, heldOutTokens);
}
