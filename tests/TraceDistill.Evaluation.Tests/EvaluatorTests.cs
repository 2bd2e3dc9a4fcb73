using System.Text.Json.Nodes;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Evaluation.Tests;

public sealed class EvaluatorTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Evaluate_GreedyAnswers_GiveAccuracyIntervalFamiliesAndLengths()
    {
        // Problems 0 … 9, odd ones of family b; the model knows 0 … 6 and runs out of tokens on 9.
        var result = await EvaluateAsync(
            Options(),
            (
                "student",
                new ScriptedModel(request =>
                    Question(request) switch
                    {
                        < 7 and var n => $"{n}",
                        9 => "",
                        _ => "?",
                    }
                )
            )
        );

        var scores = result.Models["student"];
        Assert.Equal(10, result.N);
        Assert.Equal(0.7, scores.Accuracy, 1e-12);
        Assert.Equal(0.3967781, scores.AccuracyCi.Low, 1e-6); // statsmodels, proportion_confint(7, 10, method="wilson")
        Assert.Equal(0.8922087, scores.AccuracyCi.High, 1e-6);
        Assert.Equal(0.8, scores.Families["a"].Accuracy, 1e-12);
        Assert.Equal(0.6, scores.Families["b"].Accuracy, 1e-12);
        Assert.Equal(5, scores.Families["b"].N);
        Assert.Equal(2, scores.MeanTokens);
        Assert.Equal(0.1, scores.TruncatedShare, 1e-12);
        Assert.Null(scores.Sampled);
        Assert.Null(scores.AnswerCalibration);
    }

    [Fact]
    public async Task Evaluate_OneOfTwoModelsIsDamaged_IsNamed()
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            EvaluateAsync(
                Options(),
                ("whole", new ScriptedModel(_ => "1")),
                ("damaged", new ScriptedModel(_ => throw new InvalidInputException("the model's logits are not finite")))
            )
        );

        Assert.Equal("damaged: the model's logits are not finite", error.Message);
    }

    [Fact]
    public async Task Evaluate_GreedyRequests_AreGreedyAndSamplesAreNot()
    {
        var model = new ScriptedModel(_ => "x");
        await EvaluateAsync(
            Options() with
            {
                Samples = 2,
                SampledProblems = 5,
                Temperature = 0.7,
                TopP = 0.9,
                MaxTokens = 64,
            },
            ("student", model)
        );

        Assert.Equal(10, model.Asked.Count(request => request.Sampling is { Temperature: 0, TopP: 1, MaxTokens: 64 }));
        var samples = model.Asked.Where(request => request.Sampling is { Temperature: 0.7, TopP: 0.9, MaxTokens: 64 }).ToList();
        Assert.Equal([0, 0, 2, 2, 4, 4, 6, 6, 8, 8], samples.Select(Question).Order());
        Assert.Equal(20, model.Asked.Select(request => request.Sampling.Seed).Distinct().Count());
    }

    [Fact]
    public async Task Evaluate_Samples_GivePassAtKAndMajAtKOverThem()
    {
        // Of four samples a problem n < 5 gives n right answers and else one and the same wrong answer.
        var counts = new System.Collections.Concurrent.ConcurrentDictionary<int, int>();
        var model = new ScriptedModel(request =>
            request.Sampling.Temperature == 0 ? "greedy"
            : counts.AddOrUpdate(Question(request), 1, (_, old) => old + 1) <= Question(request) ? $"{Question(request)}"
            : "77"
        );
        var result = await EvaluateAsync(Options() with { Samples = 4, Limit = 5 }, ("student", model));

        var sampled = result.Models["student"].Sampled!;
        Assert.Equal((5, 4), (sampled.N, sampled.Samples));
        Assert.Equal([1, 2, 4], sampled.PassAt.Keys);
        Assert.Equal((0 + 0.25 + 0.5 + 0.75 + 1) / 5, sampled.PassAt[1], 1e-12);
        Assert.Equal((0 + 3 / 6.0 + 5 / 6.0 + 1 + 1) / 5, sampled.PassAt[2], 1e-12);
        Assert.Equal((0 + 1 + 1 + 1 + 1) / 5.0, sampled.PassAt[4], 1e-12);
        Assert.Equal((0 + 0 + 0.5 + 1 + 1) / 5, sampled.MajAt[4], 1e-12);

        var calibration = result.Models["student"].AnswerCalibration!;
        Assert.Equal(5, calibration.Count);

        // By confidence: at 1 one of two is right, at 3/4 one of two, at 1/2 one of one or none of one.
        Assert.Equal(2 / 5.0 * Math.Abs(0.5 - 1) + 2 / 5.0 * Math.Abs(0.5 - 0.75) + 1 / 5.0 * 0.5, calibration.Ece, 1e-12);
    }

    [Fact]
    public async Task Evaluate_TwoModels_ComparesThemOnTheSameProblems()
    {
        var result = await EvaluateAsync(
            Options(),
            ("student", new ScriptedModel(request => Question(request) == 0 ? "?" : $"{Question(request)}")),
            ("baseline", new ScriptedModel(request => Question(request) < 4 ? $"{Question(request)}" : "?"))
        );

        var comparison = Assert.Single(result.Comparisons);
        Assert.Equal(("student", "baseline"), (comparison.First, comparison.Second));
        Assert.Equal(0.5, comparison.Difference, 1e-12);
        Assert.Equal((6, 1), (comparison.OnlyFirst, comparison.OnlySecond));
        Assert.Equal(0.125, comparison.PValue, 1e-12); // 2 · (C(7,0) + C(7,1)) / 2⁷
        Assert.InRange(comparison.DifferenceCi.Low, -0.3, 0.49);
        Assert.InRange(comparison.DifferenceCi.High, 0.51, 1);
    }

    [Fact]
    public async Task Evaluate_MoreModelsThanAnyoneComparesByPairs_ComparesNone()
    {
        var result = await EvaluateAsync(
            Options() with
            {
                Limit = 1,
            },
            [.. Enumerable.Range(0, Evaluator.MostCompared + 1).Select(index => ($"copy-{index}", new ScriptedModel(_ => "x")))]
        );

        Assert.Equal(Evaluator.MostCompared + 1, result.Models.Count);
        Assert.Empty(result.Comparisons);
    }

    [Fact]
    public async Task Evaluate_AnyCompletionOrder_LeavesTheSameFiles()
    {
        // The second model holds every third answer back until all the others are there.
        var released = new TaskCompletionSource();
        var others = 0;
        var late = new ScriptedModel(request => $"{Question(request) % 4}")
        {
            Before = async request =>
            {
                if (Question(request) % 3 == 0)
                {
                    await released.Task;
                }
                else if (Interlocked.Increment(ref others) == 6)
                {
                    released.SetResult();
                }
            },
        };
        await EvaluateAsync(Options(), ("student", new ScriptedModel(request => $"{Question(request) % 4}")));
        var (records, result) = (await ReadAsync("student.jsonl"), await ReadAsync(EvaluationResult.FileName));
        File.Delete(_folder.File("student.jsonl"));
        await EvaluateAsync(Options(), ("student", late));

        Assert.Equal(records, await ReadAsync("student.jsonl"));
        Assert.Equal(result, await ReadAsync(EvaluationResult.FileName));
    }

    [Fact]
    public async Task Evaluate_Interrupted_AsksOnlyForWhatIsMissingAndEndsTheSame()
    {
        var options = Options() with { Samples = 3, Concurrency = 1 };
        await EvaluateAsync(options, ("student", new ScriptedModel(Answer)));
        var (records, result) = (await ReadAsync("student.jsonl"), await ReadAsync(EvaluationResult.FileName));
        File.Delete(_folder.File("student.jsonl"));

        var failing = new ScriptedModel(Answer)
        {
            Before = request => Question(request) == 6 ? throw new ExternalFailureException("gone") : Task.CompletedTask,
        };
        await Assert.ThrowsAsync<ExternalFailureException>(() => EvaluateAsync(options, ("student", failing)));
        await File.AppendAllTextAsync(_folder.File("student.jsonl"), "{\"id\":\"torn", TestContext.Current.CancellationToken);
        var resumed = new ScriptedModel(Answer);
        await EvaluateAsync(options, ("student", resumed));

        Assert.Equal(24, failing.Asked.Count);
        Assert.Equal(16, resumed.Asked.Count);
        Assert.Equal(records, await ReadAsync("student.jsonl"));
        Assert.Equal(result, await ReadAsync(EvaluationResult.FileName));

        static string Answer(GenerationRequest request) => $"{request.Sampling.Seed % 3}";
    }

    [Fact]
    public async Task Evaluate_OtherWeightsOrSettingsInTheSameFolder_AreRefusedAndTheAnswersKept()
    {
        await EvaluateAsync(Options(), ("student", new ScriptedModel(_ => "1")));
        var records = await ReadAsync("student.jsonl");

        var other = new ScriptedModel(_ => "1");
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            EvaluateAsync(Options() with { MaxTokens = 99 }, ("student", other))
        );
        await Assert.ThrowsAsync<InvalidInputException>(() =>
            EvaluateAsync(
                Options(),
                [
                    new EvaluatedModel
                    {
                        Name = "student",
                        Identity = "other weights",
                        Generator = other,
                        Asked = Asked,
                    },
                ]
            )
        );

        Assert.StartsWith($"{_folder.File("student.jsonl")}: holds answers of another evaluation", error.Message);
        Assert.Empty(other.Asked);
        Assert.Equal(records, await ReadAsync("student.jsonl"));
    }

    [Fact]
    public async Task Evaluate_MoreSamplesInTheSameFolder_AsksForTheNewOnesAlone()
    {
        await EvaluateAsync(Options(), ("student", new ScriptedModel(_ => "1")));

        var more = new ScriptedModel(_ => "1");
        await EvaluateAsync(Options() with { Samples = 3 }, ("student", more));

        Assert.Equal(30, more.Asked.Count);
    }

    [Fact]
    public async Task Evaluate_DamagedRecord_NamesFileAndLine()
    {
        await File.WriteAllTextAsync(_folder.File("student.jsonl"), "{\"id\":\"a\"}\n", TestContext.Current.CancellationToken);
        var exception = await Assert.ThrowsAsync<InvalidInputException>(() =>
            EvaluateAsync(Options(), ("student", new ScriptedModel(_ => "1")))
        );
        Assert.Contains("student.jsonl, line 1", exception.Message);
        Assert.DoesNotContain('\n', exception.Message);
    }

    [Fact]
    public async Task Evaluate_Answers_AreKeptWithTheTextTheyWereReadFrom()
    {
        await EvaluateAsync(
            Options(),
            ("student", new ScriptedModel(request => $"{new string('x', 70_000)} that makes ü\n{Question(request)} or so"))
        );

        var lines = await File.ReadAllLinesAsync(_folder.File("student.jsonl"), TestContext.Current.CancellationToken);
        Assert.Equal(10, lines.Length);
        foreach (var line in lines.Select(line => JsonNode.Parse(line)!))
        {
            Assert.Equal($"{line["answer"]}", $"{line["expected"]}");
            Assert.Equal($"{new string('x', 70_000)} that makes ü\n{line["expected"]} or so", $"{line["generation"]}");
        }

        // What is on disk already is not asked for again, and stays as it is.
        var again = new ScriptedModel(_ => "1");
        await EvaluateAsync(Options(), ("student", again));
        Assert.Empty(again.Asked);
        Assert.Equal(lines, await File.ReadAllLinesAsync(_folder.File("student.jsonl"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Evaluate_ModelsTrainedOnDifferentTasks_EachIsAskedAsItWasTrained()
    {
        ScriptedModel one = new(_ => "1"),
            other = new(_ => "1");
        EvaluatedModel Model(string name, ScriptedModel generator, AskedAs asked) =>
            new()
            {
                Name = name,
                Generator = generator,
                Asked = asked,
            };
        var boxed = new AskedAs("boxed", (problem, _) => [new ChatMessage("system", "box it"), new ChatMessage("user", problem.Text)], 8192)
        {
            ExtraBody = "{}",
            TrainedOn = "bare",
        };

        var result = await EvaluateAsync(Options(), [Model("one", one, Asked), Model("other", other, boxed)]);

        Assert.All(one.Asked, request =>
            Assert.True(request is { Messages: [{ Role: "user" }], Sampling: { MaxTokens: 512, ExtraBody: null } })
        );
        Assert.All(other.Asked, request =>
            Assert.True(request is { Messages: [{ Content: "box it" }, _], Sampling: { MaxTokens: 8192, ExtraBody: "{}" } })
        );
        Assert.Equal(("plain", null, 512), (result.Models["one"].Prompt, result.Models["one"].TrainedOn, result.Models["one"].MaxTokens));
        Assert.Equal(
            ("boxed", "bare", 8192),
            (result.Models["other"].Prompt, result.Models["other"].TrainedOn, result.Models["other"].MaxTokens)
        );
        Assert.Single(result.Comparisons);
    }

    /// <summary>The reasoning holds the right number, and is no answer.</summary>
    [Theory]
    [InlineData("length")]
    [InlineData("stop")]
    public async Task Evaluate_ReasoningThatNeverEnded_IsNoAnswerAndCountsAsCutOff(string finishReason)
    {
        var thinker = new Thinker(request => new GenerationResult
        {
            Reasoning = $"perhaps {Question(request)}",
            Answer = "",
            Text = $"perhaps {Question(request)}",
            FinishReason = finishReason,
        });

        var scores = (await EvaluateAsync(Options(), ("student", thinker))).Models["student"];

        Assert.Equal((0, 1), (scores.Accuracy, scores.TruncatedShare));
        Assert.All(await File.ReadAllLinesAsync(_folder.File("student.jsonl"), TestContext.Current.CancellationToken), line =>
            Assert.Null(JsonNode.Parse(line)!["answer"])
        );
    }

    [Theory]
    [InlineData("\\{1, 2\\}", "so \\boxed{\\{1,2\\}}")]
    [InlineData("x + 1", "The answer is $x+1$.")]
    public async Task Evaluate_AnswerThatIsNoNumber_IsJudgedInItsOwnText(string expected, string text)
    {
        var evaluator = new Evaluator(Options(), MathVerifier.Instance, _folder.Path, SilentObserver.Instance, TimeProvider.System);

        var result = await evaluator.EvaluateAsync(
            new[]
            {
                new EvaluatedModel
                {
                    Name = "student",
                    Generator = new ScriptedModel(_ => text),
                    Asked = Asked,
                },
            }.ToAsyncEnumerable(),
            [
                new Problem
                {
                    Id = "p",
                    Text = "?",
                    Answer = expected,
                    Family = "f",
                },
            ],
            cancellationToken: TestContext.Current.CancellationToken
        );

        Assert.Equal(1, result.Models["student"].Accuracy);
    }

    [Fact]
    public async Task Evaluate_AnswersBeyondTheVerifier_AreCountedOnTheirOwnAndCountAsWrong()
    {
        var model = new ScriptedModel(request =>
            Question(request) switch
            {
                < 4 and var n => $"{n}",
                < 7 => "\\boxed{\\int_0^1 x\\,dx}",
                _ => "77",
            }
        );

        var scores = (await EvaluateAsync(Options(), ("student", model))).Models["student"];

        Assert.Equal((0.4, 3), (scores.Accuracy, scores.Unverified));
        Assert.Contains("\"unverified\": 3", await ReadAsync(EvaluationResult.FileName));
    }

    [Fact]
    public async Task Read_WhatWasWritten_IsTheSame()
    {
        var result = await EvaluateAsync(
            Options() with
            {
                Samples = 2,
            },
            ("b", new ScriptedModel(_ => "1")),
            ("a", new ScriptedModel(_ => "2"))
        );
        var read = EvaluationResult.Read(_folder.File(EvaluationResult.FileName));
        Assert.Equal(["b", "a"], read.Models.Keys);
        Assert.Equal(result.Comparisons, read.Comparisons);
        Assert.Equal(result.Models["a"].Sampled!.PassAt, read.Models["a"].Sampled!.PassAt);
        Assert.Equal(result.Models["a"].AccuracyCi, read.Models["a"].AccuracyCi);
    }

    static int Question(GenerationRequest request) => int.Parse(request.Messages[^1].Content);

    sealed class Thinker(Func<GenerationRequest, GenerationResult> think) : ITextGenerator
    {
        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
            Task.FromResult(think(request));
    }

    static AskedAs Asked => new("plain", (problem, _) => [new ChatMessage("user", problem.Text)], 512);

    static EvaluateOptions Options() =>
        new()
        {
            Problems = "held_out.jsonl",
            Seed = 7,
            Concurrency = 16,
        };

    Task<string> ReadAsync(string name) => File.ReadAllTextAsync(_folder.File(name), TestContext.Current.CancellationToken);

    Task<EvaluationResult> EvaluateAsync(EvaluateOptions options, params (string Name, ITextGenerator Generator)[] models) =>
        EvaluateAsync(
            options,
            models.Select(model => new EvaluatedModel
            {
                Name = model.Name,
                Generator = model.Generator,
                Asked = Asked with { MaxTokens = options.MaxTokens ?? 512 },
                Parameters = 1234,
            })
        );

    Task<EvaluationResult> EvaluateAsync(EvaluateOptions options, IEnumerable<EvaluatedModel> models)
    {
        var problems = Enumerable
            .Range(0, 10)
            .Select(n => new Problem
            {
                Id = $"p{n}",
                Text = $"{n}",
                Answer = $"{n}",
                Family = n % 2 == 0 ? "a" : "b",
            })
            .ToList();
        var evaluator = new Evaluator(options, MathVerifier.Instance, _folder.Path, SilentObserver.Instance, TimeProvider.System);
        return evaluator.EvaluateAsync(models.ToAsyncEnumerable(), problems, cancellationToken: TestContext.Current.CancellationToken);
    }
}
