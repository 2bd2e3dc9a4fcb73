using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Texts;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;
using Trace = TraceDistill.Data.Traces.Trace;

namespace TraceDistill.Teachers.Tests.Texts;

/// <summary>Scoring of data sets, whole, over a server whose distributions follow from a formula.</summary>
public sealed class ScoreStageTests : IDisposable
{
    const int K = 4;
    const int End = 257;

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task RunAsync_TracesOfAnotherWriter_GetTheTeachersRowsInTheirOwnOrderAndCut()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        int[][] cut =
        [
            [3, 2],
            [4],
            [1, 1, 1],
        ];
        var source = await WriteAsync("source", cut);

        var summary = await RunAsync(server, "scored");

        Assert.Equal((12L, 12L, 12L, null), (summary.Count, summary.Scored, summary.New, summary.Unscored));
        var reader = await ShardReader.OpenAsync(_folder.File("scored"), cancellationToken: TestTeacher.Token);
        Assert.Equal(cut, reader.Cut);
        var rows = await reader.ReadAsync(TestTeacher.Token).ToListAsync(TestTeacher.Token);
        Assert.Equal(source.Select(trace => trace.Id), rows.Select(row => row.Id));
        foreach (var (before, row) in source.Zip(rows))
        {
            var prompt = Encode(before.Messages[0].Content);
            int[] text = [.. Encode(before.Generation), End];
            Assert.Equal(prompt, row.PromptTokenIds);
            Assert.Equal(text, row.Logprobs!.TokenIds);
            Assert.Equal((prompt.Length, text.Length), (row.PromptTokens, row.CompletionTokens));
            for (var t = 0; t < text.Length; t++)
            {
                int[] prefix = [.. prompt, .. text.AsSpan(0, t)];
                Assert.Equal(Math.Max(ScoringServer.Distribution(prefix)[text[t]], -9999), row.Logprobs.Logprobs[t], 1e-5);
            }

            // All else is the writer's.
            Assert.Equal(
                before with
                {
                    Logprobs = null,
                    PromptTokenIds = [],
                    PromptTokens = 0,
                    CompletionTokens = 0,
                    Messages = [],
                },
                row with
                {
                    Logprobs = null,
                    PromptTokenIds = [],
                    PromptTokens = 0,
                    CompletionTokens = 0,
                    Messages = [],
                }
            );
        }
    }

    /// <summary>Scores are those behind the privileged prompt; the row keeps the prompt that a student reads.</summary>
    [Fact]
    public async Task RunAsync_PrivilegedPrompt_ScoresBehindItAndKeepsTheTextsOwn()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        var source = await WriteAsync(
            "source",
            [
                [3],
            ]
        );
        var (problems, fewer) = (_folder.File("problems.jsonl"), _folder.File("fewer.jsonl"));
        string[] lines =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(i => $$"""{"id": "p{{i}}", "problem": "{{i}}+3", "answer": "{{i + 3}}", "solution": "count on from {{i}}"}"""),
        ];
        File.WriteAllLines(problems, lines);
        File.WriteAllLines(fewer, lines.Take(2));
        var prompt = Directory.CreateDirectory(_folder.File("prompts/Know")).FullName;
        File.WriteAllText(
            Path.Combine(prompt, "skprompt.txt"),
            "<message role=\"user\">{{$problem}}; {{$solution}}; {{$answer}}</message>"
        );
        File.WriteAllText(
            Path.Combine(prompt, "config.json"),
            """{"input_variables":[{"name":"problem"},{"name":"solution"},{"name":"answer"}]}"""
        );
        ScoreOptions With(ScoreOptions options) => options with { Prompt = prompt, PromptProblems = [problems] };

        await RunAsync(server, "scored", With);

        var reader = await ShardReader.OpenAsync(_folder.File("scored"), cancellationToken: TestTeacher.Token);
        Assert.Equal(prompt, reader.Dataset.Scoring!.Prompt);
        var rows = await reader.ReadAsync(TestTeacher.Token).ToListAsync(TestTeacher.Token);
        foreach (var (i, (before, row)) in source.Zip(rows).Index())
        {
            Assert.Equal(Encode(before.Messages[0].Content), row.PromptTokenIds);
            Assert.Equal(before.Messages, row.Messages);
            int[] text = [.. Encode(before.Generation), End],
                read = Encode($"{i}+3; count on from {i}; {i + 3}");
            for (var t = 0; t < text.Length; t++)
            {
                int[] prefix = [.. read, .. text.AsSpan(0, t)];
                Assert.Equal(Math.Max(ScoringServer.Distribution(prefix)[text[t]], -9999), row.Logprobs!.Logprobs[t], 1e-5);
            }
        }

        var missing = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(server, "missing", options => With(options) with { PromptProblems = [fewer] })
        );
        Assert.StartsWith("prompt_problems: problem p2 of trace t2 is not in ", missing.Message, StringComparison.Ordinal);
        var unsolved = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(server, "unsolved", options => With(options) with { PromptProblems = [] })
        );
        Assert.Contains(
            "shows each problem's worked solution, and of problem p0 there is none",
            unsolved.Message,
            StringComparison.Ordinal
        );
        var other = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, "scored"));
        Assert.Contains("prompt was Know", other.Message, StringComparison.Ordinal);
    }

    /// <summary>Also where it was scored by a version that wrote only options that were given.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_PromptOrProblemsThatCameOrWent_AreNotTakenForTheSame(bool isEarlierVersion)
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [1],
            ]
        );
        var (problems, prompt) = (WriteProblems(), WritePrompt("Solve: {{$problem}}"));
        ScoreOptions WithPrompt(ScoreOptions options) => options with { Prompt = prompt };
        ScoreOptions WithProblems(ScoreOptions options) => WithPrompt(options) with { PromptProblems = [problems] };
        await ScoreAsync("plain", options => options);
        await ScoreAsync("prompt", WithPrompt);
        await ScoreAsync("problems", WithProblems);

        Assert.Contains("prompt was none, is ", await RefusalAsync("plain", WithPrompt), StringComparison.Ordinal);
        Assert.Contains("prompt was Plain (", await RefusalAsync("prompt", options => options), StringComparison.Ordinal);
        Assert.Contains("prompt_problems was none, is ", await RefusalAsync("prompt", WithProblems), StringComparison.Ordinal);
        Assert.Contains("prompt_problems was problems.jsonl (", await RefusalAsync("problems", WithPrompt), StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync(server, "prompt", WithPrompt)).New);
        Assert.Equal(0, (await RunAsync(server, "plain")).New);

        async Task ScoreAsync(string name, Func<ScoreOptions, ScoreOptions> change)
        {
            await RunAsync(server, name, change);
            var file = Path.Combine(_folder.File(name), ".options.json");
            var options = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
            if (isEarlierVersion)
            {
                options
                    .Where(option => (string?)option.Value == "none")
                    .Select(option => option.Key)
                    .ToList()
                    .ForEach(key => options.Remove(key));
                File.WriteAllText(file, options.ToJsonString());
            }
        }

        async Task<string> RefusalAsync(string name, Func<ScoreOptions, ScoreOptions> change) =>
            (await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, name, change))).Message;
    }

    /// <summary>The same file read by other fields shows another solution.</summary>
    [Fact]
    public async Task RunAsync_OtherFieldsOfPromptProblems_AreNotTakenForTheSame()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [1],
            ]
        );
        var (problems, prompt) = (WriteProblems(), WritePrompt("Solve: {{$problem}} {{$solution}}"));
        ScoreOptions With(ScoreOptions options, string field) =>
            options with
            {
                Prompt = prompt,
                PromptProblems = [problems],
                SolutionField = field,
            };
        await RunAsync(server, "scored", options => With(options, "short"));

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, "scored", options => With(options, "long")));

        Assert.Contains("solution_field was \"short\", is \"long\"", refusal.Message, StringComparison.Ordinal);
    }

    string WriteProblems()
    {
        var file = _folder.File("problems.jsonl");
        File.WriteAllLines(
            file,
            Enumerable
                .Range(0, 3)
                .Select(i => $$"""{"id": "p{{i}}", "problem": "{{i}} and {{i}}?", "short": "s{{i}}", "long": "so {{i}}"}""")
        );
        return file;
    }

    string WritePrompt(string text)
    {
        var folder = Directory.CreateDirectory(_folder.File("prompts/Plain")).FullName;
        File.WriteAllText(Path.Combine(folder, "skprompt.txt"), $"<message role=\"user\">{text}</message>");
        File.WriteAllText(
            Path.Combine(folder, "config.json"),
            """{"input_variables":[{"name":"problem"},{"name":"solution","is_required":false}]}"""
        );
        return folder;
    }

    [Fact]
    public async Task RunAsync_Manifest_NamesWhoWroteAndWhoScored()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [2],
            ]
        );

        await RunAsync(server, "scored");

        var manifest = ShardManifest.Load(_folder.File("scored"))!;
        Assert.Equal("teacher", manifest.Dataset.Teacher);
        Assert.Equal(new ScoringDescription { Writer = "writer", BeginOfSequence = BeginOfSequence.None }, manifest.Dataset.Scoring);
        Assert.Equal(
            (K, LogprobKind.Raw, TokenIdentity.Ids),
            (manifest.Dataset.TopK, manifest.Dataset.Logprobs, manifest.Dataset.TokenIdentity)
        );
        Assert.Equal("prompt_logprobs", manifest.Capabilities!.PromptScoring);
        var card = File.ReadAllText(Path.Combine(_folder.File("scored"), "README.md"));
        Assert.Contains("# Reasoning traces of writer, scored by teacher\n", card, StringComparison.Ordinal);
        Assert.Contains("| teacher | teacher |\n| written by | writer; the teacher scored", card, StringComparison.Ordinal);
        Assert.Contains("| scored at | temperature 1, without a beginning-of-sequence token |\n", card, StringComparison.Ordinal);
    }

    /// <summary>Stopped anywhere and run again: each text is scored once, and the files are those of one run.</summary>
    [Theory]
    [InlineData(SoftTargetLayout.Compact, 1)]
    [InlineData(SoftTargetLayout.Compact, 9)]
    [InlineData(SoftTargetLayout.Plain, 5)]
    public async Task RunAsync_StoppedAndRunAgain_AsksForNothingTwiceAndGivesTheSameBytes(SoftTargetLayout layout, int stopAfter)
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3, 2],
                [4],
                [3],
            ]
        );
        await RunAsync(server, "whole", options => options with { Layout = layout });
        var before = server.Requests.Count;

        using var stop = new CancellationTokenSource();
        server.Spoils = _ =>
        {
            if (server.Requests.Count == before + 1 + stopAfter)
            {
                stop.Cancel();
            }
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            RunAsync(
                server,
                "stopped",
                options => options with { Layout = layout, Concurrency = 1 },
                stop: stop.Token,
                time: new VirtualTime()
            )
        );
        server.Spoils = _ => { };
        await RunAsync(server, "stopped", options => options with { Layout = layout });

        // Two runs, each with a probe of its own.
        Assert.Equal(12 + 2, server.Requests.Count - before);
        Assert.Equal(Files("whole"), Files("stopped"));
    }

    [Fact]
    public async Task RunAsync_FinishedFolder_AsksNothing()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3],
            ]
        );
        await RunAsync(server, "scored");
        var asked = server.Requests.Count;

        var summary = await RunAsync(server, "scored");

        Assert.Equal((asked, 3L, 0L), (server.Requests.Count, summary.Scored, summary.New));
    }

    /// <summary>Rows that the teacher cannot score stay, with the reasons counted; an end is scored where there is one.</summary>
    [Fact]
    public async Task RunAsync_RowsThatCannotBeScored_StayWithoutSoftTargets()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        server.Context = 60;
        await WriteAsync(
            "source",
            [
                [6],
            ],
            (i, trace) =>
                i switch
                {
                    1 => trace with { Generation = new string('x', 100) },
                    2 => trace with { Generation = "", FinishReason = "content_filter" },
                    3 => trace with { FinishReason = "length" },
                    4 => trace with { ToolCalls = "[{}]" },
                    _ => trace,
                }
        );

        var summary = await RunAsync(server, "scored");

        Assert.Equal((6L, 3L), (summary.Count, summary.Scored));
        Assert.Equal(
            "1 too long for the teacher's context, 1 with calls of tools, whose tokens are not known, 1 without text",
            $"{summary.Unscored}"
        );
        var rows = await ReadAsync("scored");
        Assert.Equal([false, true, true, false, true, false], rows.Select(row => row.Logprobs is null));
        Assert.Equal([End, (int)'3', End], new[] { 0, 3, 5 }.Select(i => rows[i].Logprobs!.TokenIds[^1] == End ? End : '3'));
        Assert.Equal($"{summary.Unscored}", $"{ShardManifest.Load(_folder.File("scored"))!.Unscored}");
        Assert.Equal($"{summary.Unscored}", $"{(await RunAsync(server, "scored")).Unscored}");
    }

    /// <summary>Where nothing can be scored a setting is wrong: nothing is written as if it were the rows' fault.</summary>
    [Fact]
    public async Task RunAsync_ContextThatHoldsNoText_IsASettingsFaultAndForgotten()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3],
            ],
            (_, trace) => trace with { Generation = new string('x', 100) }
        );
        server.Context = 60;
        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, "scored"));
        Assert.Contains("not one text can be scored (3 too long for the teacher's context)", refusal.Message, StringComparison.Ordinal);

        server.Context = 1_000;
        Assert.Equal(3, (await RunAsync(server, "scored")).Scored);
    }

    [Fact]
    public async Task RunAsync_OtherTeacherInTheFolder_IsRefusedUntilDiscarded()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3],
            ]
        );
        await RunAsync(server, "scored");

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(server, "scored", options => options with { TopLogprobs = 2 })
        );
        Assert.Contains("holds 3 traces of other options: top_logprobs was 4, is 2", refusal.Message, StringComparison.Ordinal);
        await RunAsync(server, "scored", options => options with { TopLogprobs = 2, Discard = true });
        Assert.Equal(2, ShardManifest.Load(_folder.File("scored"))!.Dataset.TopK);
    }

    /// <summary>What is there stays, wherever its rows come to stand, and what is new is scored.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_SourceThatGrew_ScoresWhatIsNewAlone(bool isInterrupted)
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3, 2],
            ]
        );
        if (isInterrupted)
        {
            await Assert.ThrowsAsync<InvalidInputException>(() =>
                RunAsync(server, "scored", options => options with { MaxTokensTotal = 100, Concurrency = 1 })
            );
        }
        else
        {
            await RunAsync(server, "scored");
        }

        await WriteAsync(
            "source",
            [
                [4],
                [1, 3],
            ]
        );

        var summary = await RunAsync(server, "scored");

        Assert.Equal((8L, 8L), (summary.Count, summary.Scored));
        Assert.InRange(summary.New, 3, isInterrupted ? 7 : 3);
        await RunAsync(server, "whole");
        Assert.Equal(Files("whole"), Files("scored"));
    }

    [Theory]
    [InlineData("text")]
    [InlineData("verdict")]
    public async Task RunAsync_ScoredRowsThatChanged_AreRefusedUntilDiscarded(string what)
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3],
            ]
        );
        await RunAsync(server, "scored");
        var changed = await WriteAsync(
            "source",
            [
                [4],
            ],
            (i, trace) =>
                i != 1 ? trace
                : what == "text" ? trace with { Generation = "other" }
                : trace with { Verdict = "correct" }
        );
        var asked = server.Requests.Count;

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, "scored"));
        Assert.Contains("holds scores of 1 trace that is another in ", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(asked, server.Requests.Count);

        // Cut short after the old scores were given up, they are not taken for the new text's.
        await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(server, "scored", options => options with { Discard = true, MaxTokensTotal = 1 })
        );
        var summary = await RunAsync(server, "scored");

        Assert.Equal((4L, 4L, 2L), (summary.Count, summary.Scored, summary.New));
        await RunAsync(server, "whole");
        Assert.Equal(Files("whole"), Files("scored"));
        Assert.Equal(changed[1].Generation, (await ReadAsync("scored"))[1].Generation);
    }

    /// <summary>Another field of the same file holds other solutions: their scores are not those of the first.</summary>
    [Fact]
    public async Task RunAsync_OtherSolutionField_IsOtherText()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        File.WriteAllText(
            _folder.File("problems.jsonl"),
            """{"id":"a","problem":"1 + 2?","answer":"3","short":"Add.","long":"Add them one by one."}"""
        );
        ScoreOptions Field(ScoreOptions options, string field) =>
            options with
            {
                Traces = null,
                Problems = _folder.File("problems.jsonl"),
                SolutionField = field,
            };
        await RunAsync(server, "scored", options => Field(options, "short"));

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, "scored", options => Field(options, "long")));

        Assert.Contains("holds 1 trace that is not in ", refusal.Message, StringComparison.Ordinal);
        await RunAsync(server, "scored", options => Field(options, "long") with { Discard = true });
        Assert.Equal("<think>Add them one by one.</think>3", Assert.Single(await ReadAsync("scored")).Generation);
    }

    [Fact]
    public async Task RunAsync_RowsWithOneId_AreNamed()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3],
            ],
            (i, trace) => trace with { Id = i == 2 ? "t0" : trace.Id }
        );

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(server, "scored"));

        Assert.Contains("rows 1 and 3 are both trace t0", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_TeacherThatKeepsFailingAtARow_EndsUnfinishedAndKeepsTheOthers()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [5],
            ]
        );
        var isFailing = true;
        server.Spoils = answer =>
        {
            if (isFailing && server.Requests.Last().Contains($",{(int)'2'},{(int)'+'},", StringComparison.Ordinal))
            {
                answer.Clear();
                answer["error"] = new JsonObject { ["message"] = "out of memory", ["code"] = 500 };
            }
        };

        var failure = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            RunAsync(server, "scored", options => options with { RetryFor = 0, Concurrency = 1 })
        );
        Assert.Contains("1 of 5 rows is not scored: p2: ", failure.Message, StringComparison.Ordinal);

        var allowed = await RunAsync(server, "allowed", options => options with { RetryFor = 0, AllowMissing = 0.2, Concurrency = 1 });
        Assert.Equal("1 not scored because the teacher failed, as allow_missing permits", $"{allowed.Unscored}");
        var preview = await ScoreStage.PreviewAsync(
            OptionsOf(server),
            _folder.File("allowed"),
            Teacher,
            MathVerifier.Instance,
            TestTeacher.Token
        );
        Assert.Equal("4 of 5 traces are there, and 1 other will be asked for again", preview.Describe(isDiscarded: false));

        isFailing = false;
        Assert.Equal((5L, 1L), (await RunAsync(server, "scored")) is var summary ? (summary.Scored, summary.New) : default);
    }

    [Fact]
    public async Task RunAsync_BudgetTooSmall_KeepsWhatIsThereAndGoesOnWithALargerOne()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [10],
            ]
        );

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(server, "scored", options => options with { MaxTokensTotal = 200, Concurrency = 1 })
        );
        Assert.Contains("max_tokens_total: is spent (", refusal.Message, StringComparison.Ordinal);

        var summary = await RunAsync(server, "scored", options => options with { MaxTokensTotal = 20_000 });
        Assert.Equal(10, summary.Scored);
        Assert.InRange(summary.New, 1, 9);
    }

    [Fact]
    public async Task RunAsync_WorkedSolutions_BecomeTracesOfPeople()
    {
        await using var server = await ScoringServer.StartAsync("tracedistill");
        File.WriteAllLines(
            _folder.File("problems.jsonl"),
            [
                """{"id":"a","problem":"1 + 2?","answer":"3","solution":"Add them."}""",
                """{"id":"b","problem":"2 + 2?","answer":"4"}""",
                """{"id":"c","problem":"3 + 2?","answer":"5","solution":"Count on."}""",
            ]
        );
        var observer = new RecordingObserver();

        var summary = await RunAsync(
            server,
            "scored",
            options => options with { Traces = null, Problems = _folder.File("problems.jsonl") },
            observer
        );

        Assert.Equal((2L, 2L), (summary.Count, summary.Scored));
        Assert.Contains(observer.Messages, message => message.Contains("1 problem without a worked solution", StringComparison.Ordinal));
        var rows = await ReadAsync("scored");
        Assert.Equal(["a", "c"], rows.Select(row => row.ProblemId));
        Assert.All(rows, row => Assert.Equal(("human", "human", "correct"), (row.Teacher, row.FinishReason, row.Verdict)));
        Assert.Equal("<think>Add them.</think>3", rows[0].Generation);
        Assert.Equal([.. Encode("<think>Add them.</think>3"), End], rows[0].Logprobs!.TokenIds);
        Assert.Equal("human", ShardManifest.Load(_folder.File("scored"))!.Dataset.Scoring!.Writer);
    }

    [Fact]
    public async Task RunAsync_ServerThatStartsToScoreOtherText_IsGivenUp()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [60],
            ]
        );
        server.Reads = ids => server.Requests.Count > 1 ? [.. ids.Reverse()] : ids;

        var failure = await Assert.ThrowsAsync<TeacherUnavailableException>(() => RunAsync(server, "scored"));

        Assert.Contains("of the last ", failure.Message, StringComparison.Ordinal);
        Assert.Contains("though the first one was", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>What one of several does wrong the others make good, and nothing more is asked of it.</summary>
    [Fact]
    public async Task RunAsync_OneEndpointThatStartsToScoreOtherText_CostsNoRow()
    {
        await using var good = await ScoringServer.StartAsync("vllm");
        await using var bad = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [120],
            ]
        );
        bad.Reads = ids => bad.Requests.Count > 1 ? [.. ids.Reverse()] : ids;
        var observer = new RecordingObserver();

        var summary = await RunAsync(
            good,
            "scored",
            options =>
                options with
                {
                    Endpoint = null,
                    Endpoints = [new EndpointOptions { Endpoint = good.Url }, new EndpointOptions { Endpoint = bad.Url }],
                },
            observer
        );

        Assert.Equal((120L, null), (summary.Scored, summary.Unscored));
        Assert.InRange(bad.Requests.Count, 2, 40);
        Assert.Contains(observer.Messages, message => message.Contains("is left out of this run", StringComparison.Ordinal));
    }

    /// <summary>A text that fits one endpoint alone is scored there.</summary>
    [Fact]
    public async Task RunAsync_TextTooLongForOneOfTwoEndpoints_IsScoredAtTheOther()
    {
        await using var large = await ScoringServer.StartAsync("vllm");
        await using var small = await ScoringServer.StartAsync("vllm");
        small.Context = 45;
        await WriteAsync(
            "source",
            [
                [12],
            ],
            (i, trace) => i % 2 == 0 ? trace with { Generation = new string('x', 60) } : trace
        );

        var summary = await RunAsync(large, "scored", options =>
            options with
            {
                Endpoint = null,
                Endpoints = [new EndpointOptions { Endpoint = small.Url }, new EndpointOptions { Endpoint = large.Url }],
            }
        );

        Assert.Equal((12L, null), (summary.Scored, summary.Unscored));
    }

    /// <summary>What the server did wrong is no fault of the text's: it is missing, and asked for again by the next run.</summary>
    [Theory]
    [InlineData("refused")]
    [InlineData("misaligned")]
    [InlineData("NaN")]
    public async Task RunAsync_TextThatTheServerGetsWrong_IsMissingAndAskedForAgain(string fault)
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3, 2],
            ]
        );
        var isFaulty = true;
        server.Spoils = answer =>
        {
            if (!isFaulty || !server.Requests.Last().Contains($",{(int)'2'},{(int)'+'},", StringComparison.Ordinal))
            {
                return;
            }

            var scored = answer["choices"]![0]!["prompt_logprobs"]!.AsArray();
            switch (fault)
            {
                case "refused":
                    answer.Clear();
                    answer["error"] = new JsonObject { ["message"] = "no", ["code"] = 400 };
                    break;
                case "misaligned":
                    scored[^2]!.AsObject().Clear();
                    scored[^2]!["7"] = new JsonObject { ["logprob"] = -1 };
                    break;
                default:
                    scored[^2]!.AsObject().First().Value!["logprob"] = "NaN";
                    break;
            }
        };

        var failure = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            RunAsync(server, "scored", options => options with { Concurrency = 1 })
        );
        Assert.Contains("1 of 5 rows is not scored: p2: ", failure.Message, StringComparison.Ordinal);
        var allowed = await RunAsync(server, "scored", options => options with { AllowMissing = 0.2, Concurrency = 1 });
        Assert.Equal((4L, 0L + 1), (allowed.Scored, allowed.New));
        Assert.Equal("1 not scored because the teacher failed, as allow_missing permits", $"{allowed.Unscored}");

        // The published data set keeps what it has while the row still fails, and is whole once it does not.
        Assert.Equal(4, (await RunAsync(server, "scored", options => options with { AllowMissing = 0.2 })).Scored);
        isFaulty = false;
        var asked = server.Requests.Count;
        var whole = await RunAsync(server, "scored");

        Assert.Equal((5L, 1L, null), (whole.Scored, whole.New, whole.Unscored));
        Assert.Equal(asked + 2, server.Requests.Count);
        var manifest = ShardManifest.Load(_folder.File("scored"))!;
        Assert.Null(manifest.Unscored);
        Assert.Null(manifest.UnscoredKeys);
        Assert.Equal((await RunAsync(server, "other")).Tokens, whole.Tokens);
        Assert.Equal(Files("other"), Files("scored"));
    }

    [Fact]
    public async Task RunAsync_TooLongTexts_AreAskedForAgainWhereThatIsAskedFor()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        server.Context = 60;
        await WriteAsync(
            "source",
            [
                [4],
            ],
            (i, trace) =>
                i switch
                {
                    1 => trace with { Generation = new string('x', 100) },
                    2 => trace with { Generation = "", FinishReason = "content_filter" },
                    _ => trace,
                }
        );
        Assert.Equal(2, (await RunAsync(server, "scored")).Scored);
        server.Context = 1_000;
        var asked = server.Requests.Count;
        Assert.Equal(2, (await RunAsync(server, "scored")).Scored);
        Assert.Equal(asked, server.Requests.Count);

        var again = await RunAsync(server, "scored", options => options with { ReaskTooLong = true });

        Assert.Equal((3L, 1L, "1 without text"), (again.Scored, again.New, $"{again.Unscored}"));
        Assert.Equal([true, true, false, true], (await ReadAsync("scored")).Select(row => row.Logprobs is not null));
    }

    /// <summary>With one row that fails for a passing reason it is not known that a row can be scored at all.</summary>
    [Fact]
    public async Task RunAsync_NothingScoredAndOneFailure_WritesNoRowDown()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        await WriteAsync(
            "source",
            [
                [3],
            ],
            (i, trace) => i == 0 ? trace : trace with { Generation = new string('x', 100) }
        );
        server.Context = 60;
        var isFailing = true;
        server.Spoils = answer =>
        {
            if (isFailing && server.Requests.Last().Contains($",{(int)'0'},{(int)'+'},", StringComparison.Ordinal))
            {
                answer.Clear();
                answer["error"] = new JsonObject { ["message"] = "out of memory", ["code"] = 500 };
            }
        };
        await Assert.ThrowsAsync<ExternalFailureException>(() =>
            RunAsync(server, "scored", options => options with { RetryFor = 0, AllowMissing = 1, Concurrency = 1 })
        );

        (server.Context, isFailing) = (1_000, false);
        Assert.Equal((3L, 3L), (await RunAsync(server, "scored")) is var summary ? (summary.Scored, summary.New) : default);
    }

    /// <summary>In process: the same stage, with a scorer that another project brings.</summary>
    [Fact]
    public async Task RunAsync_TeacherInThisProcess_ScoresWithoutAServer()
    {
        await WriteAsync(
            "source",
            [
                [4],
            ]
        );
        var scorer = new FormulaScorer();

        var summary = await ScoreStage.RunAsync(
            new ScoreOptions
            {
                Traces = _folder.File("source"),
                Model = "teacher",
                TopLogprobs = K,
            },
            _folder.File("scored"),
            Teacher with
            {
                Load = _ => scorer,
            },
            MathVerifier.Instance,
            SilentObserver.Instance,
            TestTeacher.Time(),
            TestTeacher.Token
        );

        Assert.Equal((4L, true), (summary.Scored, scorer.IsDisposed));
        Assert.Null(ShardManifest.Load(_folder.File("scored"))!.Capabilities);
        await using var server = await ScoringServer.StartAsync("sglang");
        await RunAsync(server, "served", options => options with { Layout = SoftTargetLayout.Compact });
        Assert.Equal((await ReadAsync("served"))[2].Logprobs!.Logprobs, (await ReadAsync("scored"))[2].Logprobs!.Logprobs);
    }

    /// <summary>One of its texts cannot be scored: a span and a duration with the reason, as of an endpoint that refuses it.</summary>
    [Fact]
    public async Task RunAsync_TeacherInThisProcess_TellsTheSpansAndMetricsOfAnEndpoint()
    {
        const string Model = "teacher-in-process";
        await WriteAsync(
            "source",
            [
                [4],
            ]
        );
        var (spans, measured) = (new ConcurrentQueue<Activity>(), new ConcurrentQueue<(string Name, double Value, string Tags)>());
        using var tracing = new ActivityListener
        {
            ShouldListenTo = source => source.Name == TeacherInstruments.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(tracing);
        using var metering = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == TeacherInstruments.Name)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        void Keep(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            measured.Enqueue((instrument.Name, value, string.Join(' ', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))));
        metering.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Keep(instrument, value, tags));
        metering.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Keep(instrument, value, tags));
        metering.Start();
        var (texts, tokens) = (0, 0);

        await ScoreStage.RunAsync(
            new ScoreOptions
            {
                Traces = _folder.File("source"),
                Model = Model,
                TopLogprobs = K,
                Concurrency = 3,
            },
            _folder.File("scored"),
            Teacher with
            {
                Model = Model,
                Load = _ => new FormulaScorer
                {
                    Fault = request =>
                    {
                        metering.RecordObservableInstruments();
                        if (Interlocked.Increment(ref texts) == 2)
                        {
                            return new UnscorableTextException(UnscorableTextException.TooLong, "of a test");
                        }

                        Interlocked.Add(ref tokens, request.Tokens.Length);
                        return null;
                    },
                },
            },
            MathVerifier.Instance,
            SilentObserver.Instance,
            TestTeacher.Time(),
            TestTeacher.Token
        );

        // Other tests run at the same time.
        var own = spans.Where(span => span.DisplayName == $"text_completion {Model}").ToList();
        Assert.Equal(4, own.Count);
        Assert.All(own, span =>
            Assert.Equal(("tracedistill", ActivityKind.Internal), (span.GetTagItem("gen_ai.provider.name"), span.Kind))
        );
        Assert.Equal(
            nameof(UnscorableTextException),
            Assert.Single(own, span => span.Status == ActivityStatusCode.Error).GetTagItem("error.type")
        );
        Assert.Equal(tokens, own.Sum(span => (int?)span.GetTagItem("gen_ai.usage.input_tokens") ?? 0));
        var mine = measured.Where(one => one.Tags.Contains($"gen_ai.request.model={Model}", StringComparison.Ordinal)).ToList();
        var durations = mine.Where(one => one.Name == "gen_ai.client.operation.duration").ToList();
        Assert.Equal(4, durations.Count);
        Assert.Single(durations, one => one.Tags.Contains($"error.type={nameof(UnscorableTextException)}", StringComparison.Ordinal));
        Assert.Equal(
            (tokens, 0),
            (
                mine.Where(one => one.Tags.EndsWith("token.type=input", StringComparison.Ordinal)).Sum(one => one.Value),
                mine.Where(one => one.Tags.EndsWith("token.type=output", StringComparison.Ordinal)).Sum(one => one.Value)
            )
        );
        Assert.InRange(mine.Where(one => one.Name == "tracedistill.teacher.in_flight").Max(one => one.Value), 1, 4);
        Assert.All(mine.Where(one => one.Name == "tracedistill.teacher.limit"), one => Assert.Equal(3, one.Value));
    }

    /// <summary>A server may give fewer alternatives than it is asked for without a word: the data set says how many it has.</summary>
    [Fact]
    public async Task RunAsync_ServerThatReturnsFewerAlternatives_RecordsThem()
    {
        await using var server = await ScoringServer.StartAsync("tracedistill");
        server.Spoils = answer =>
        {
            foreach (var row in answer["choices"]![0]!["logprobs"]!["top_logprobs"]!.AsArray().OfType<JsonObject>())
            {
                row.Skip(2).Select(entry => entry.Key).ToList().ForEach(key => row.Remove(key));
            }
        };
        await WriteAsync(
            "source",
            [
                [3],
            ]
        );

        var summary = await RunAsync(server, "scored", options => options with { TopLogprobs = 3 });

        Assert.Equal((3L, 2), (summary.Scored, summary.TopK));
        Assert.Equal(2, ShardManifest.Load(_folder.File("scored"))!.Dataset.TopK);
    }

    /// <summary>What was granted at first is what all rows have: the same as of a server that never granted more.</summary>
    [Fact]
    public async Task RunAsync_ServerThatReturnsMoreAlternativesLater_GoesOnWithAsManyAsAreThere()
    {
        await using var server = await ScoringServer.StartAsync("tracedistill");
        void KeepTwo(JsonObject answer)
        {
            foreach (var row in answer["choices"]![0]!["logprobs"]!["top_logprobs"]!.AsArray().OfType<JsonObject>())
            {
                row.Skip(2).Select(entry => entry.Key).ToList().ForEach(key => row.Remove(key));
            }
        }

        ScoreOptions WithThree(ScoreOptions options) => options with { TopLogprobs = 3 };
        await WriteAsync(
            "source",
            [
                [3],
            ]
        );
        server.Spoils = KeepTwo;
        await RunAsync(server, "scored", WithThree);
        await WriteAsync(
            "source",
            [
                [5],
            ]
        );
        await RunAsync(server, "whole", WithThree);

        server.Spoils = _ => { };
        var summary = await RunAsync(server, "scored", WithThree);

        Assert.Equal((5L, 2L, 2), (summary.Scored, summary.New, summary.TopK));
        Assert.Equal(
            (await ReadAsync("whole")).Select(trace => string.Join(' ', trace.Logprobs!.TopIds)),
            (await ReadAsync("scored")).Select(trace => string.Join(' ', trace.Logprobs!.TopIds))
        );
    }

    /// <summary>Short texts behind a template that writes a long prompt need room for all of it.</summary>
    [Fact]
    public async Task RunAsync_TemplateLongerThanTheTexts_CountsForTheRoomThatATeacherHereNeeds()
    {
        await WriteAsync(
            "source",
            [
                [2],
            ]
        );
        var room = 0;

        await ScoreStage.RunAsync(
            new ScoreOptions { Traces = _folder.File("source"), TopLogprobs = K },
            _folder.File("scored"),
            Teacher with
            {
                Write = (messages, answer) => Write([new ChatMessage("system", new string('s', 3_000)), .. messages], answer),
                Load = longest =>
                {
                    room = longest;
                    return new FormulaScorer();
                },
            },
            MathVerifier.Instance,
            SilentObserver.Instance,
            TestTeacher.Time(),
            TestTeacher.Token
        );

        Assert.Equal(3_000 + "What is 0+3?".Length + "It is 0 and 3".Length + 1, room);
    }

    static ScoringTeacher Teacher { get; } = new("teacher", ScoringServer.Vocabulary, "template", Write);

    static TeacherText Write(IReadOnlyList<ChatMessage> messages, string answer)
    {
        var prompt = messages.SelectMany(message => Encode(message.Content)).ToArray();
        return new TeacherText([.. prompt, .. Encode(answer), End], prompt.Length);
    }

    static int[] Encode(string text) => ScoringServer.Vocabulary.Encode(text);

    Task<ScoreSummary> RunAsync(
        ScoringServer server,
        string name,
        Func<ScoreOptions, ScoreOptions>? change = null,
        IRunObserver? observer = null,
        CancellationToken? stop = null,
        TimeProvider? time = null
    )
    {
        var options = OptionsOf(server);
        return ScoreStage.RunAsync(
            change?.Invoke(options) ?? options,
            _folder.File(name),
            Teacher,
            MathVerifier.Instance,
            observer ?? SilentObserver.Instance,
            time ?? TestTeacher.Time(),
            stop ?? TestTeacher.Token
        );
    }

    ScoreOptions OptionsOf(ScoringServer server) =>
        new()
        {
            Traces = _folder.File("source"),
            Endpoint = server.Url,
            Model = "teacher",
            TopLogprobs = K,
            Concurrency = 4,
        };

    async Task<List<Trace>> ReadAsync(string name)
    {
        var reader = await ShardReader.OpenAsync(_folder.File(name), cancellationToken: TestTeacher.Token);
        return await reader.ReadAsync(TestTeacher.Token).ToListAsync(TestTeacher.Token);
    }

    List<(string Name, string Content)> Files(string name) =>
        [
            .. Directory
                .EnumerateFiles(_folder.File(name))
                .Where(file => !Path.GetFileName(file).StartsWith('.'))
                .Order(StringComparer.Ordinal)
                .Select(file => (Path.GetFileName(file), Convert.ToBase64String(File.ReadAllBytes(file)))),
        ];

    /// <summary>A data set of text alone: somebody else's traces.</summary>
    async Task<List<Trace>> WriteAsync(string name, int[][] cut, Func<int, Trace, Trace>? change = null)
    {
        var dataset = new DatasetDescription { Teacher = "writer", TokenIdentity = TokenIdentity.Text };
        var folder = Directory.CreateDirectory(_folder.File(name)).FullName;
        foreach (var file in Directory.GetFiles(folder))
        {
            File.Delete(file);
        }

        var (all, shards) = (new List<Trace>(), new List<ShardEntry>());
        foreach (var (index, groups) in cut.Index())
        {
            var traces = Enumerable.Range(all.Count, groups.Sum()).Select(i => change?.Invoke(i, Trace(i)) ?? Trace(i)).ToList();
            all.AddRange(traces);
            var path = Path.Combine(folder, ShardName.Published(index, cut.Length));
            shards.Add(
                await ShardWriter.WriteShardAsync(
                    path,
                    dataset,
                    traces.ToAsyncEnumerable(),
                    rowGroups: groups,
                    cancellationToken: TestTeacher.Token
                )
            );
        }

        ShardManifest.Of(dataset, shards).Publish(folder);
        return all;
    }

    static Trace Trace(int i) =>
        new()
        {
            Id = $"t{i}",
            ProblemId = $"p{i}",
            Source = "sums",
            Messages = [new ChatMessage("user", $"What is {i}+3?")],
            Reasoning = "",
            Answer = $"{i} + 3",
            Generation = $"It is {i} and 3",
            ExpectedAnswer = $"{i + 3}",
            FinishReason = "stop",
            Verdict = "unverified",
            Teacher = "writer",
            Temperature = 0.7,
            TopP = 1,
            CompletionTokens = 9,
            CreatedAt = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
        };

    sealed class FormulaScorer : ITokenScorer, IDisposable
    {
        public bool IsDisposed { get; private set; }

        /// <summary>Returns what is thrown in the place of scores; null for nothing.</summary>
        public Func<ScoringRequest, Exception?> Fault { get; init; } = _ => null;

        public Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default)
        {
            if (Fault(request) is { } fault)
            {
                throw fault;
            }

            var rows = Enumerable
                .Range(request.First, request.Tokens.Length - request.First)
                .Select(i => ScoringServer.Distribution(request.Tokens.AsSpan(0, i)))
                .ToList();
            var best = rows.Select(row => ScoringServer.Best(row, request.TopLogprobs)).ToList();
            return Task.FromResult(
                new TokenLogprobs
                {
                    K = request.TopLogprobs,
                    TokenIds = request.Scored.ToArray(),
                    Logprobs = [.. rows.Select((row, t) => (float)Math.Max(row[request.Scored[t]], -9999))],
                    TopIds = [.. best.SelectMany(row => row.Select(entry => entry.Id))],
                    TopLogprobs = [.. best.SelectMany(row => row.Select(entry => (float)entry.Logprob))],
                }
            );
        }

        public void Dispose() => IsDisposed = true;
    }
}
