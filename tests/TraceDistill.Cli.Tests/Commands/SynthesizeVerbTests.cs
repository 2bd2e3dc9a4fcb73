using System.Text.Json.Nodes;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Tests.Support;
using TraceDistill.TestServer.Teaching;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

/// <summary>The embedded teacher, and a student that has learned nothing but to compare numbers.</summary>
public sealed class SynthesizeVerbTests(SynthesizeVerbTests.ComparingStudent student)
    : IClassFixture<SynthesizeVerbTests.ComparingStudent>,
        IDisposable
{
    const int K = 20;
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new() { Stages = [new ProblemsVerb(), new SynthesizeVerb(), new TrainVerb()], Clock = TimeProvider.System };

    public void Dispose() => _cli.Dispose();

    /// <summary>Addition is where it has most to learn, and that is where most of the problems come from after two rounds.</summary>
    [Fact]
    public async Task Synthesize_StudentWithoutAFamily_SearchesThere()
    {
        await SynthesizeAsync("found", ["--family", "comparison,addition", "--count", "48", "--rounds", "3", "--levels", "2"]);

        var rounds = Rounds("found");
        Assert.Equal(3, rounds.Count);
        Assert.Single(_cli.Error.Split('\n'), line => line.Contains("dialect tracedistill", StringComparison.Ordinal));
        double ShareOf(JsonNode round, string family) =>
            round["arms"]!.AsArray().Where(arm => (string)arm!["family"]! == family).Sum(arm => (double)arm!["share"]!);
        Assert.Equal(0.5, ShareOf(rounds[0]!, "addition"), 1e-9);
        Assert.True(ShareOf(rounds[2]!, "addition") > 0.75, $"{ShareOf(rounds[2]!, "addition")}");
        double DisagreementOf(string family) =>
            rounds[0]!["arms"]!.AsArray().Where(arm => (string)arm!["family"]! == family).Average(arm => (double)arm!["disagreement"]!);
        Assert.True(DisagreementOf("addition") > 1.5 * DisagreementOf("comparison"));
        var kept = await ProblemsAsync("found");
        Assert.Equal(48, kept.Count);
        Assert.True(kept.Count(problem => problem.Family == "addition") > 40);
        Assert.Equal(kept.Count, kept.Select(problem => problem.Text).Distinct().Count());

        // The folder is one of traces, all of which are right, and a student learns from it as it is.
        var traces = await TracesAsync(_cli.File("found"));
        Assert.Equal(kept.Select(problem => problem.Id).Order(), traces.Select(trace => trace.ProblemId).Order());
        Assert.All(traces, trace => Assert.Equal(("correct", K), (trace.Verdict, trace.Logprobs!.K)));
        await RunAsync(
            "train",
            "--traces",
            _cli.File("found"),
            "--student",
            student.Path,
            "--max-steps",
            "1",
            "--out",
            _cli.File("trained")
        );
    }

    /// <summary>Mean over tokens of Σ p log(p / q) over the reported alternatives and all else as one, in float64.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public async Task Synthesize_Kl_IsThatOfAnIndependentModelInFloat64()
    {
        await SynthesizeAsync("found", ["--family", "comparison,sorting", "--count", "4", "--rounds", "1", "--candidates", "8"]);

        using var parameters = ModelDirectory.Load(student.Path);
        var reference = new ReferenceDecoder(parameters);
        var traces = (await TracesAsync(_cli.File("found/rounds/1/traces"))).ToLookup(trace => trace.ProblemId);
        var kept = Rounds("found")[0]!["kept"]!.AsArray();
        Assert.Equal(4, kept.Count);
        foreach (var problem in kept)
        {
            var expected = Kl(reference, traces[(string)problem!["id"]!].Single());
            Assert.Equal(expected, (double)problem["disagreement"]!, 1e-4 * expected);
        }

        // Those with the most, of those that were verified.
        var all = traces.Where(of => of.Single().Verdict == "correct").Select(of => Kl(reference, of.Single())).OrderDescending().ToList();
        Assert.Equal(all.Take(4), kept.Select(problem => (double)problem!["disagreement"]!), (a, b) => Math.Abs(a - b) < 1e-4 * a);
    }

    /// <summary>
    /// Where a trace is longer than the student's positions the problem was verified all the same, and cannot be compared.
    /// </summary>
    [Fact]
    public async Task Synthesize_TracesBeyondTheStudentsPositions_CountAsVerifiedAndNotAsCompared()
    {
        const int Positions = 80;
        var shorter = Directory.CreateDirectory(_cli.File("shorter")).FullName;
        foreach (var file in Directory.GetFiles(student.Path))
        {
            File.Copy(file, Path.Combine(shorter, Path.GetFileName(file)));
        }

        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(shorter, "config.json")))!;
        configuration["max_position_embeddings"] = Positions;
        File.WriteAllText(Path.Combine(shorter, "config.json"), configuration.ToJsonString());

        string[] settings =
        [
            "--family",
            "comparison,addition",
            "--count",
            "4",
            "--rounds",
            "1",
            "--candidates",
            "24",
            "--student",
            shorter,
        ];
        await RunAsync([.. Arguments("found", []).Where(word => word != "--student" && word != student.Path), .. settings, "--json"]);

        var right = (await TracesAsync(_cli.File("found/rounds/1/traces"))).Where(trace => trace.Verdict == "correct").ToList();
        var compared = right.Where(trace => trace.PromptTokenIds.Length + trace.Logprobs!.Count <= Positions).ToList();
        Assert.InRange(compared.Count, 1, right.Count - 1);
        Assert.Equal((24, right.Count, compared.Count), Counts(_cli.Json));
        var arms = Rounds("found")[0]!["arms"]!.AsArray();
        foreach (var family in new[] { "comparison", "addition" })
        {
            var of = arms.Where(arm => (string)arm!["family"]! == family).ToList();
            Assert.Equal(right.Count(trace => trace.Source == family), of.Sum(arm => (int)arm!["verified"]!));
            Assert.Equal(compared.Count(trace => trace.Source == family), of.Sum(arm => (int)arm!["compared"]!));
        }

        using var parameters = ModelDirectory.Load(student.Path);
        var reference = new ReferenceDecoder(parameters);
        var mean = compared.Average(trace => Kl(reference, trace));
        Assert.Equal(mean, (double)Rounds("found")[0]!["disagreement"]!, 1e-4 * mean);

        static (int, int, int) Counts(JsonNode summary) =>
            ((int)summary["candidates"]!, (int)summary["verified"]!, (int)summary["compared"]!);
    }

    /// <summary>Stopped in the first round's collection and between rounds: what comes out is the same.</summary>
    [Theory]
    [InlineData("collect: ")]
    [InlineData("round 1 of 2")]
    [InlineData("round 2 of 2")]
    public async Task Synthesize_StoppedAndRunAgain_GivesTheSameFiles(string when)
    {
        string[] settings = ["--family", "comparison,modular", "--count", "12", "--rounds", "2", "--concurrency", "2"];
        await SynthesizeAsync("whole", settings);
        var stopped = _cli.RunAsync(Arguments("stopped", settings));
        await Task.WhenAny(_cli.Said(when), stopped);
        await _cli.Interruption.CancelAsync();

        var code = await stopped;

        Assert.True(code == 130 || (code == 0 && when == "round 2 of 2"), _cli.Error);
        _cli.Interruption = new CancellationTokenSource();
        await SynthesizeAsync("stopped", settings);
        foreach (var file in new[] { "train.jsonl", "disagreement.json", "rounds/1/candidates.jsonl", "rounds/2/round.json" })
        {
            Assert.Equal(
                File.ReadAllText(Path.Combine(_cli.File("whole"), file)),
                File.ReadAllText(Path.Combine(_cli.File("stopped"), file))
            );
        }

        Assert.Equal(
            (await TracesAsync(_cli.File("whole"))).Select(trace => (trace.Id, trace.Generation)),
            (await TracesAsync(_cli.File("stopped"))).Select(trace => (trace.Id, trace.Generation))
        );
    }

    /// <summary>Rounds follow from each other: what made the finished ones is named, and nothing of them is touched.</summary>
    [Fact]
    public async Task Synthesize_OtherSettingsWhereRoundsAreFinished_AreRefused()
    {
        string[] settings = ["--family", "comparison", "--count", "2", "--rounds", "2"];
        await SynthesizeAsync("found", settings);
        var before = File.ReadAllText(_cli.File("found/rounds/2/round.json"));

        Assert.Equal(2, await _cli.RunAsync(Arguments("found", [.. settings, "--levels", "1", "--max-tokens", "300"])));

        Assert.Contains("found: holds 2 finished rounds of other settings: ", _cli.Error);
        Assert.Contains("levels was 3, is 1", _cli.Error);
        Assert.Contains("max_tokens was 512, is 300", _cli.Error);
        Assert.Contains("give these rounds up with --discard", _cli.Error);
        Assert.Equal(before, File.ReadAllText(_cli.File("found/rounds/2/round.json")));

        Assert.Equal(0, await _cli.RunAsync(Arguments("found", [.. settings, "--levels", "1", "--plan"])));
        Assert.Contains("levels was 3, is 1; --discard discards them", _cli.Error);
        Assert.Equal(0, await _cli.RunAsync(Arguments("found", [.. settings, "--plan"])));
        Assert.Contains("2 of 2 rounds are finished", _cli.Error);
    }

    /// <summary>Its name, or the weights that are served: either makes other traces.</summary>
    [Fact]
    public async Task Synthesize_AnotherTeacherOrStudentWhereRoundsAreFinished_IsRefused()
    {
        var number = 0;
        await using var server = await InventingServerAsync(() => $"What is {Interlocked.Increment(ref number)} + 50?");
        server.Models = ["teacher", "other"];
        Assert.True(await InventAsync(server, Shown()) == 0, _cli.Error);

        Assert.Equal(2, await InventAsync(server, Shown(), "--model", "other"));
        Assert.Contains("model was \"teacher\", is \"other\"", _cli.Error);

        var another = Directory.CreateDirectory(_cli.File("another")).FullName;
        foreach (var file in Directory.GetFiles(student.Path))
        {
            File.Copy(file, Path.Combine(another, Path.GetFileName(file)));
        }

        File.AppendAllText(Path.Combine(another, "config.json"), " ");
        Assert.Equal(2, await InventAsync(server, Shown(), "--student", another));
        Assert.Contains("student was student (", _cli.Error);
    }

    /// <summary>
    /// They make way for the rounds that a folder of their own would have, and what they took of the teacher stays counted.
    /// </summary>
    [Fact]
    public async Task Synthesize_Discard_GivesUpRoundsOfOtherSettings()
    {
        string[] settings = ["--family", "comparison", "--count", "2", "--candidates", "6"];
        await SynthesizeAsync("found", [.. settings, "--rounds", "2"]);
        var taken = Taken();
        settings = [.. settings, "--rounds", "1", "--seed", "9"];
        await SynthesizeAsync("fresh", settings);

        await SynthesizeAsync("found", [.. settings, "--discard"]);

        Assert.Contains("rounds was 2, is 1; seed was 0, is 9; they are discarded", _cli.Error);
        foreach (var file in new[] { "train.jsonl", "disagreement.json", "rounds/1/candidates.jsonl", "rounds/1/round.json" })
        {
            Assert.Equal(
                File.ReadAllText(Path.Combine(_cli.File("fresh"), file)),
                File.ReadAllText(Path.Combine(_cli.File("found"), file))
            );
        }

        Assert.Equal(
            (await TracesAsync(_cli.File("fresh"))).Select(trace => (trace.Id, trace.Generation)),
            (await TracesAsync(_cli.File("found"))).Select(trace => (trace.Id, trace.Generation))
        );
        Assert.Empty(Directory.GetFiles(_cli.File("found/rounds/2"), "*.json*", SearchOption.TopDirectoryOnly));
        Assert.Empty(Directory.GetFiles(_cli.File("found/rounds/2"), "*.parquet", SearchOption.AllDirectories));
        Assert.True(Taken() > taken);

        long Taken() => new[] { 1, 2 }.Sum(round => TokensOf("found", round));
    }

    /// <summary>A folder in which nothing was found yet takes whatever settings come.</summary>
    [Fact]
    public async Task Synthesize_OtherSettingsAfterAFailedFirstCall_AreTaken()
    {
        var number = 0;
        await using var refusing = await ProtocolServer.StartAsync(Replies.Error(400, "max_tokens is too large: 60"));
        await using var server = await InventingServerAsync(() => $"What is {Interlocked.Increment(ref number)} + 50?");
        Assert.NotEqual(0, await InventAsync(refusing, Shown()));

        Assert.True(await InventAsync(server, Shown(), "--max-tokens", "50", "--candidates", "6") == 0, _cli.Error);

        Assert.NotEmpty(await ProblemsAsync("found"));
    }

    [Theory]
    [InlineData("{", "does not hold the result of a round")]
    [InlineData(null, "keeps problem PROBLEM twice, or one of an earlier round")]
    [InlineData("""{"round": 1, "arms": [], "kept": [{"id": "p", "disagreement": 1}]}""", "keeps problem p, which the round did not try")]
    public async Task Synthesize_DamagedRound_IsToldInOneLine(string? text, string message)
    {
        string[] settings = ["--family", "comparison", "--count", "2", "--rounds", "1", "--candidates", "4"];
        await SynthesizeAsync("found", settings);
        var result = _cli.File("found/rounds/1/round.json");
        var twice = JsonNode.Parse(File.ReadAllText(result))!;
        var kept = twice["kept"]!.AsArray();
        kept.Add(kept[0]!.DeepClone());
        File.WriteAllText(result, text ?? twice.ToJsonString());

        Assert.Equal(2, await _cli.RunAsync(Arguments("found", settings)));

        Assert.Contains(message.Replace("PROBLEM", (string)kept[0]!["id"]!, StringComparison.Ordinal), _cli.Error);
        Assert.Contains("delete it to have the round's traces compared again", _cli.Error);
        File.Delete(_cli.File("found/rounds/1/round.json"));
        await SynthesizeAsync("found", settings);
    }

    /// <summary>
    /// Ended at the last file before the manifest, once in a new folder and once where an earlier publication stands: without the manifest
    /// nobody takes the folder for complete, and the same command completes it.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Synthesize_EndedWhileItPublishes_LeavesNoManifest(bool isPublished)
    {
        string[] settings = ["--family", "comparison", "--count", "2", "--rounds", "1", "--candidates", "4"];
        if (isPublished)
        {
            await SynthesizeAsync("found", settings);
            File.Delete(_cli.File("found/task.json"));
        }

        // A folder in its place, so that it cannot be written.
        Directory.CreateDirectory(_cli.File("found/task.json/in-the-way"));
        Assert.NotEqual(0, await _cli.RunAsync(Arguments("found", settings)));

        Assert.False(File.Exists(_cli.File("found/manifest.json")));
        Directory.Delete(_cli.File("found/task.json"), recursive: true);
        await SynthesizeAsync("found", settings);
        Assert.True(File.Exists(_cli.File("found/manifest.json")));
        Assert.True(File.Exists(_cli.File("found/task.json")));
        Assert.True(File.Exists(_cli.File("found/tokenizer/tokenizer.json")));
    }

    /// <summary>What the rounds before kept is published, and a larger budget goes on to what a run without one finds.</summary>
    [Fact]
    public async Task Synthesize_BudgetSpentInALaterRound_PublishesTheRoundsBeforeAndGoesOn()
    {
        string[] settings =
        [
            "--family",
            "comparison,addition",
            "--count",
            "4",
            "--rounds",
            "2",
            "--candidates",
            "6",
            "--max-tokens",
            "200",
        ];
        await SynthesizeAsync("whole", settings);
        var first = TokensOf("whole", 1);

        await SynthesizeAsync("found", [.. settings, "--max-tokens-total", $"{first + 500}", "--json"]);

        Assert.Equal("budget", (string?)_cli.Json["stopped_by"]);
        Assert.Contains("max_tokens_total: is spent in round 2 of 2; what was collected is kept: raise it", _cli.Error);
        Assert.Equal(2, (await ProblemsAsync("found")).Count);
        Assert.Equal(2, (await TracesAsync(_cli.File("found"))).Count);

        // Not even one trace fits into what a round has left, by the one limit or by the other.
        foreach (
            var (name, limit) in new[]
            {
                ("max_tokens_total", new[] { "--max-tokens-total", $"{first + 100}" }),
                ("max_cost", ["--max-tokens-total", "100000", "--max-cost", $"{(first + 100) / 1e6}"]),
            }
        )
        {
            string[] price = ["--price-per-million", "{ input: 1, output: 1 }"];
            await SynthesizeAsync($"less-{name}", [.. settings, .. price, .. limit, "--json"]);
            Assert.Equal("budget", (string?)_cli.Json["stopped_by"]);
            Assert.Contains($"{name}: is spent in round 2 of 2; what was collected is kept: raise it", _cli.Error);
            Assert.DoesNotContain("lower max_tokens", _cli.Error);
        }

        await SynthesizeAsync("found", [.. settings, "--max-tokens-total", "100000", "--json"]);
        Assert.Null(_cli.Json["stopped_by"]);
        Assert.Equal(File.ReadAllText(_cli.File("whole/train.jsonl")), File.ReadAllText(_cli.File("found/train.jsonl")));
        Assert.Equal(first, TokensOf("found", 1));
        Assert.InRange(TokensOf("found", 2) - TokensOf("whole", 2), 0, 60); // a probe more
    }

    /// <summary>As a stage: rounds that are there are taken over, and given up only where the user says so.</summary>
    [Fact]
    public async Task Run_SearchThatIsThere_IsGoneOnWithAndGivenUpWhenDiscardedAlone()
    {
        var recipe = $"""
            name: search
            seed: 3
            stages:
              search:
                do: synthesize
                student: {student.Path}
                serve: {Teacher}
                family: comparison,addition
                count: 4
                rounds: 2
                candidates: 6
                max_tokens: 200
                temperature: 0.5
            """;
        Assert.True(await _cli.RunRecipeAsync(recipe, "--set", "search.max_tokens_total=1300") == 0, _cli.Error);
        Assert.Single(Rounds("run/search"));
        var first = TokensOf("run/search", 1);

        Assert.True(await _cli.RunRecipeAsync(recipe, "--set", "search.max_tokens_total=100000") == 0, _cli.Error);
        Assert.Contains("keeps 1 round of an earlier run", _cli.Error);
        Assert.Equal(2, Rounds("run/search").Count);
        Assert.Equal(first, TokensOf("run/search", 1));

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--set", "search.levels=1"));
        Assert.Contains("search: holds 2 finished rounds of other settings: levels was 3, is 1; put that back", _cli.Error);
        Assert.Equal(2, Rounds("run/search").Count);
        Assert.True(await _cli.RunRecipeAsync(recipe, "--set", "search.levels=1", "--discard") == 0, _cli.Error);
        Assert.DoesNotContain("keeps 2 rounds", _cli.Error);
        Assert.True(TokensOf("run/search", 1) > first);
        Assert.Equal(2, Rounds("run/search")[0]!["arms"]!.AsArray().Count);
    }

    long TokensOf(string name, int round) =>
        TraceDistill.Teachers.CollectStage.UsageOf(Path.Combine(_cli.File(name), "rounds", $"{round}", "traces"))?.Tokens ?? 0;

    [Fact]
    public async Task Synthesize_HeldOutFile_IsNeverRepeated()
    {
        string[] settings = ["--family", "comparison", "--count", "6", "--rounds", "1"];
        await SynthesizeAsync("first", settings);
        var before = await ProblemsAsync("first");

        await SynthesizeAsync("second", [.. settings, "--held-out", Path.Combine(_cli.File("first"), "train.jsonl")]);

        Assert.Empty((await ProblemsAsync("second")).Select(problem => problem.Text).Intersect(before.Select(problem => problem.Text)));
    }

    /// <summary>Of answers it keeps those problems alone at which the student's is another one than the teacher's.</summary>
    [Fact]
    public async Task Synthesize_Answers_KeepsWhatTheStudentGetsWrong()
    {
        await SynthesizeAsync(
            "found",
            [
                "--family",
                "comparison,addition",
                "--count",
                "6",
                "--rounds",
                "1",
                "--candidates",
                "12",
                "--disagreement",
                "answer",
                "--max-tokens",
                "200",
            ]
        );

        var kept = (await ProblemsAsync("found")).Select(problem => problem.Id).ToHashSet();
        var answers = File.ReadLines(Path.Combine(_cli.File("found"), "rounds", "1", "student", "student.jsonl"))
            .Select(line => JsonNode.Parse(line)!)
            .ToList();
        Assert.NotEmpty(kept);
        Assert.Subset(answers.Where(answer => !(bool)answer["correct"]!).Select(answer => (string)answer["problem_id"]!).ToHashSet(), kept);
    }

    /// <summary>
    /// The teacher writes problems like those that it is shown. Some it answers in several ways, and one it writes twice: neither is kept.
    /// </summary>
    [Fact]
    public async Task Synthesize_InventedProblems_AreKeptWhereTheTeacherAgreesWithItself()
    {
        var invented = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var body = JsonNode.Parse(request)!;
                var words = (string)body["messages"]![0]!["content"]!;
                var seed = (long?)body["seed"] ?? 0;
                var text =
                    words.Contains("hard for a student", StringComparison.Ordinal)
                        ? Interlocked.Increment(ref invented) switch
                        {
                            1 or 2 => "Problem: What is 100 + 1?",
                            var number => number % 2 == 0 ? $"What is {number} + 50?" : $"Guess {number}!",
                        }
                    : words.StartsWith("Guess", StringComparison.Ordinal) ? $"It is \\boxed{{{seed}}}."
                    : $"It is \\boxed{{{Sum(request)}}}.";
                return Replies.Completion(text)(context, request);
            }
        );
        var code = await InventAsync(server, Shown(), "--samples-per-problem", "4");

        Assert.True(code == 0, _cli.Error);
        var kept = await ProblemsAsync("found");
        Assert.NotEmpty(kept);
        Assert.All(kept, problem => Assert.Matches(@"^What is (\d+) \+ (\d+)\?$", problem.Text));
        Assert.All(kept, problem =>
            Assert.Equal($"{problem.Text.Split(' ', '?').Where(word => int.TryParse(word, out _)).Sum(int.Parse)}", problem.Answer)
        );
        Assert.Equal(kept.Count, kept.Select(problem => problem.Text).Distinct().Count());
        Assert.DoesNotContain(kept, problem => problem.Text is "What is 1 + 2?" or "What is 3 + 2?");
        Assert.Equal(["invented"], kept.Select(problem => problem.Family).Distinct());
        var traces = await TracesAsync(_cli.File("found"));
        Assert.Equal(4 * kept.Count, traces.Count);
        Assert.All(traces, trace => Assert.Equal("correct", trace.Verdict));
        Assert.All(traces, trace => Assert.Equal(kept.Single(problem => problem.Id == trace.ProblemId).Answer, trace.ExpectedAnswer));

        // The first request shows what it was given, in some order.
        var first = server.Requests.First(body => body.Contains("hard for a student", StringComparison.Ordinal));
        Assert.Contains("What is 1 + 2?", first, StringComparison.Ordinal);
        Assert.Contains("2. What is", first, StringComparison.Ordinal);
    }

    /// <summary>
    /// What the first round found is of use although the second one finds nothing, and is found again by the same command.
    /// </summary>
    [Fact]
    public async Task Synthesize_TeacherThatInventsNothingNewInALaterRound_EndsWithWhatWasKept()
    {
        var invented = 0;
        await using var server = await InventingServerAsync(() => $"What is {Math.Min(8, Interlocked.Increment(ref invented))} + 50?");

        for (var run = 1; run <= 2; run++)
        {
            Assert.True(await InventAsync(server, Shown()) == 0, _cli.Error);

            Assert.Contains("in round 2 the teacher wrote no problem that is new", _cli.Error);
            Assert.Single(Rounds("found"));
            Assert.Equal(4, (await ProblemsAsync("found")).Count);
            Assert.Equal(8, (await TracesAsync(_cli.File("found"))).Count);
        }
    }

    [Fact]
    public async Task Synthesize_TeacherThatInventsNothingAtAll_IsToldInOneLine()
    {
        await using var server = await InventingServerAsync(() => "What is 1 + 2?");

        Assert.Equal(2, await InventAsync(server, Shown()));

        Assert.Contains("error: --invent-prompt: in round 1 the teacher wrote no problem that is new", _cli.Error);
        Assert.False(File.Exists(Path.Combine(_cli.File("found"), "train.jsonl")));
    }

    /// <summary>
    /// An endpoint grants two alternatives at first: of more it is asked for two, and fewer are no data set with those of the first round.
    /// </summary>
    [Theory]
    [InlineData(3)]
    [InlineData(1)]
    public async Task Synthesize_EndpointThatGrantsOtherAlternativesInALaterRound_KeepsThoseOfTheFirst(int later)
    {
        var invented = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var isInventing = request.Contains("hard for a student", StringComparison.Ordinal);
                var text = isInventing ? $"What is {Interlocked.Increment(ref invented)} + 50?" : $"It is \\boxed{{{Sum(request)}}}.";
                var asked = (int?)JsonNode.Parse(request)!["top_logprobs"] ?? 0;
                return Replies.Json(WireJson.Completion(text, Math.Min(asked, invented <= 8 ? 2 : later)))(context, request);
            }
        );

        var code = await InventAsync(server, Shown(), "--top-logprobs", "3");

        if (later == 3)
        {
            Assert.True(code == 0, _cli.Error);
            Assert.Equal(2, Rounds("found").Count(round => round!["kept"]!.AsArray().Count > 0));
            Assert.All(await TracesAsync(_cli.File("found")), trace => Assert.Equal(2, trace.Logprobs!.K));
            return;
        }

        Assert.Equal(2, code);
        Assert.Contains("rounds/1/traces: holds traces collected in another way (top_k 2 there, 1 now)", _cli.Error);
        Assert.False(File.Exists(_cli.File("found/manifest.json")));

        // The advice: the endpoint of then answers, and nothing was asked of the other one.
        later = 2;
        Assert.True(await InventAsync(server, Shown(), "--top-logprobs", "3") == 0, _cli.Error);
        Assert.Equal(2, Rounds("found").Count);
        Assert.All(await TracesAsync(_cli.File("found")), trace => Assert.Equal(2, trace.Logprobs!.K));
    }

    [Theory]
    [InlineData("--top-logprobs: kl compares soft targets", "--top-logprobs", "0")]
    [InlineData("--candidates: a round is to keep 5 (count / rounds) of its candidates; try more", "--candidates", "4", "--rounds", "4")]
    [InlineData(
        "--samples-per-problem: nobody knows the answer of an invented problem",
        "--invent-prompt",
        "Synthesis/Invent",
        "--family",
        "all"
    )]
    [InlineData(
        "--problems: is required: invent_prompt shows problems",
        "--invent-prompt",
        "Synthesis/Invent",
        "--samples-per-problem",
        "4"
    )]
    [InlineData("--family: unknown family \"adition\"", "--family", "adition")]
    public async Task Synthesize_SettingsThatDoNotGoTogether_AreToldInOneLine(string message, params string[] settings)
    {
        Assert.Equal(2, await _cli.RunAsync(Arguments("found", ["--count", "20", .. settings])));

        Assert.StartsWith($"error: {message}", _cli.Error);
        Assert.Single(_cli.Error.TrimEnd().Split('\n'));
    }

    string Shown() =>
        _cli.Write(
            "shown.jsonl",
            """{"problem": "What is 1 + 2?", "answer": "3"}""" + "\n" + """{"problem": "What is 3 + 2?", "answer": "5"}"""
        );

    /// <summary>Adds up numbers, and writes a problem where it is asked for one.</summary>
    static Task<ProtocolServer> InventingServerAsync(Func<string> invent) =>
        ProtocolServer.StartAsync(
            (context, request) =>
                Replies.Completion(
                    request.Contains("hard for a student", StringComparison.Ordinal) ? invent() : $"It is \\boxed{{{Sum(request)}}}."
                )(context, request)
        );

    /// <summary>Two rounds of eight candidates, of which each keeps four, each of two samples.</summary>
    Task<int> InventAsync(ProtocolServer server, string shown, params string[] settings) =>
        _cli.RunAsync([
            "synthesize",
            .. Pairs(
                    "--endpoint",
                    server.Url,
                    "--model",
                    "teacher",
                    "--student",
                    student.Path,
                    "--invent-prompt",
                    "Synthesis/Invent",
                    "--problems",
                    shown,
                    "--samples-per-problem",
                    "2",
                    "--top-logprobs",
                    "0",
                    "--disagreement",
                    "answer",
                    "--max-tokens",
                    "60",
                    "--count",
                    "8",
                    "--rounds",
                    "2",
                    "--candidates",
                    "8",
                    "--out",
                    _cli.File("found")
                )
                .Where(pair => !settings.Contains(pair[0]))
                .SelectMany(pair => pair),
            .. settings,
        ]);

    static IEnumerable<string[]> Pairs(params string[] words) => words.Chunk(2);

    /// <summary>
    /// The endpoint's vocabulary is not known, and the student's not the teacher's: both are told before anything is asked.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Synthesize_KlWithoutACommonVocabulary_IsForeseen(bool isPlan)
    {
        string[] plan = isPlan ? ["--plan"] : [];
        await using var server = await InventingServerAsync(() => "What is 9 + 50?");
        string[] kl = ["--disagreement", "kl", "--top-logprobs", "3", .. plan];

        Assert.Equal(2, await InventAsync(server, Shown(), kl));

        Assert.StartsWith("error: --tokenizer: is required: kl compares token by token, and the endpoint does not tell", _cli.Error);
        Assert.Single(_cli.Error.TrimEnd().Split('\n'));

        var other = Directory.CreateDirectory(_cli.File("other")).FullName;
        File.Copy(Path.Combine(Teacher, "tokenizer_config.json"), Path.Combine(other, "tokenizer_config.json"));
        var tokenizer = JsonNode.Parse(File.ReadAllText(Path.Combine(Teacher, "tokenizer.json")))!;
        var vocabulary = tokenizer["model"]!["vocab"]!.AsObject();
        var (first, second) = (vocabulary["1"]!.GetValue<int>(), vocabulary["2"]!.GetValue<int>());
        (vocabulary["1"], vocabulary["2"]) = (second, first);
        File.WriteAllText(Path.Combine(other, "tokenizer.json"), tokenizer.ToJsonString());

        Assert.Equal(2, await InventAsync(server, Shown(), ["--tokenizer", other, .. kl]));

        Assert.Contains("has another tokenizer than other, and kl compares them token by token; take disagreement: answer", _cli.Error);
        Assert.Empty(server.Requests);
        Assert.False(Directory.Exists(_cli.File("found/rounds")));
    }

    async Task SynthesizeAsync(string name, string[] settings) => await RunAsync(Arguments(name, settings));

    string[] Arguments(string name, string[] settings) =>
        [
            "synthesize",
            .. Pairs("--serve", Teacher, "--student", student.Path, "--temperature", "0.5", "--out", _cli.File(name))
                .Where(pair => !settings.Contains(pair[0]))
                .SelectMany(pair => pair),
            .. settings,
        ];

    async Task RunAsync(params string[] arguments)
    {
        var code = await _cli.RunAsync(arguments);
        Assert.True(code == 0, _cli.Error);
    }

    static string Sum(string request) =>
        ScriptedTeachers.Sum(TeacherRequest.Parse(request) with { MaxTokens = int.MaxValue }).Text.Split(' ')[^1];

    JsonArray Rounds(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(_cli.File(name), "disagreement.json")))!.AsArray();

    async Task<List<Problem>> ProblemsAsync(string name) =>
        await ProblemReader
            .ReadAsync(
                Path.Combine(_cli.File(name), "train.jsonl"),
                new ProblemReaderOptions(),
                cancellationToken: TestContext.Current.CancellationToken
            )
            .ToListAsync(TestContext.Current.CancellationToken);

    static async Task<List<Trace>> TracesAsync(string folder)
    {
        var reader = await ShardReader.OpenAsync(folder, cancellationToken: TestContext.Current.CancellationToken);
        return await reader.ReadAsync(TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Of the tokens of a trace's own ids; the alternatives are those of the compact layout.</summary>
    static double Kl(ReferenceDecoder reference, Trace trace)
    {
        var logprobs = trace.Logprobs!;
        var logits = reference.Logits([.. trace.PromptTokenIds, .. logprobs.TokenIds]);
        var sum = 0.0;
        for (var t = 0; t < logprobs.Count; t++)
        {
            var q = ReferenceDecoder.LogSoftmax(logits[trace.PromptTokenIds.Length + t - 1]);
            var (told, own) = (0.0, 0.0);
            for (var i = t * K; i < (t + 1) * K && logprobs.TopIds[i] >= 0; i++)
            {
                var p = Math.Exp((double)logprobs.TopLogprobs[i]);
                (told, own) = (told + p, own + Math.Exp(q[logprobs.TopIds[i]]));
                sum += p > 0 ? p * (logprobs.TopLogprobs[i] - q[logprobs.TopIds[i]]) : 0;
            }

            var tail = 1 - told;
            sum += tail > 1e-9 ? tail * Math.Log(tail / (1 - own)) : 0;
        }

        return sum / logprobs.Count;
    }

    /// <summary>Trained once for all tests.</summary>
    public sealed class ComparingStudent : IAsyncLifetime
    {
        readonly CliHarness _cli = new() { Stages = [new ProblemsVerb(), new TrainVerb()], Clock = TimeProvider.System };

        public string Path => _cli.File("student");

        public async ValueTask InitializeAsync()
        {
            await RunAsync("problems", "--family", "comparison", "--count", "400", "--seed", "77", "--out", _cli.File("problems.jsonl"));
            await RunAsync(
                "train",
                "--problems",
                _cli.File("problems.jsonl"),
                "--tokenizer",
                Teacher,
                "--architecture",
                "{hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, max_position_embeddings: 512}",
                "--max-steps",
                "150",
                "--batch-tokens",
                "1024",
                "--learning-rate",
                "5e-3",
                "--out",
                Path
            );
        }

        public ValueTask DisposeAsync()
        {
            _cli.Dispose();
            return ValueTask.CompletedTask;
        }

        async Task RunAsync(params string[] arguments)
        {
            var code = await _cli.RunAsync(arguments);
            Assert.True(code == 0, _cli.Error);
        }
    }
}
