using System.Net;
using System.Net.Sockets;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

/// <summary>The embedded teacher scores what it wrote itself, so that it is known what has to come out.</summary>
public sealed class ScoreVerbTests : IDisposable
{
    const int K = 8;

    /// <summary>Sums of float32 in another order, in two passes of the same model.</summary>
    const double Tolerance = 1e-3;

    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new()
    {
        Stages = [new ProblemsVerb(), new GenerateVerb(), new ScoreVerb(), new TrainVerb(), new EvaluateVerb(), new ReportVerb()],
        Clock = TimeProvider.System,
    };

    public void Dispose() => _cli.Dispose();

    [Theory]
    [InlineData("--teacher")]
    [InlineData("--serve")]
    public async Task Score_TracesThatTheTeacherWrote_ReproducesTheLogprobsOfTheirGeneration(string way)
    {
        var written = await GenerateAsync(12);
        await RunAsync("score", "--traces", _cli.File("traces"), way, Teacher, "--layout", "plain", "--out", _cli.File("plain"));
        await RunAsync("score", "--traces", _cli.File("traces"), way, Teacher, "--out", _cli.File("compact"));

        var (plain, compact) = (await ReadAsync("plain"), await ReadAsync("compact"));
        Assert.Equal(written.Select(trace => trace.Id), plain.Select(trace => trace.Id));
        foreach (var (before, exact, coded) in written.Zip(plain, compact))
        {
            var (drawn, scored, small) = (before.Logprobs!, exact.Logprobs!, coded.Logprobs!);
            Assert.Equal(before.PromptTokenIds, exact.PromptTokenIds);
            Assert.Equal(drawn.TokenIds, scored.TokenIds);
            for (var t = 0; t < drawn.Count; t++)
            {
                Assert.Equal(drawn.Logprobs[t], scored.Logprobs[t], Tolerance);
                AssertRounded(scored, small, t);
                foreach (var (id, logprob) in Row(drawn, t))
                {
                    if (Row(scored, t).TryGetValue(id, out var again))
                    {
                        Assert.Equal(logprob, again, Tolerance);
                    }
                    else
                    {
                        // Two that are nearly as likely may change places at the end of the list.
                        Assert.Equal(logprob, scored.TopLogprobs[((t + 1) * K) - 1], Tolerance);
                    }
                }
            }
        }

        // What tells the two ways apart is the server's part of the manifest alone.
        Assert.Equal(way == "--serve" ? "echo" : null, ShardManifest.Load(_cli.File("plain"))!.Capabilities?.PromptScoring);
        Assert.Equal("teacher", ShardManifest.Load(_cli.File("plain"))!.Dataset.Scoring!.Writer);
    }

    /// <summary>
    /// Ended at the last file before the manifest: without it nobody takes the folder for complete, and nothing is asked again.
    /// </summary>
    [Fact]
    public async Task GenerateAndScore_EndedWhileTheyPublish_LeaveNoManifest()
    {
        await RunAsync("problems", "--count", "3", "--out", _cli.File("problems.jsonl"));
        string[] generate = ["generate", "--problems", _cli.File("problems.jsonl"), "--serve", Teacher, "--max-tokens", "200"];
        string[] score = ["score", "--traces", _cli.File("traces"), "--teacher", Teacher];
        foreach (var (name, command) in new[] { ("traces", generate), ("scored", score) })
        {
            // A folder in its place, so that it cannot be written.
            Directory.CreateDirectory(_cli.File($"{name}/task.json/in-the-way"));
            Assert.NotEqual(0, await _cli.RunAsync([.. command, "--out", _cli.File(name)]));

            Assert.Null(ShardManifest.Load(_cli.File(name)));
            Directory.Delete(_cli.File($"{name}/task.json"), recursive: true);
            Assert.True(await _cli.RunAsync([.. command, "--out", _cli.File(name), "--json"]) == 0, _cli.Error);
            Assert.Equal(0, (int)(_cli.Json["collected"] ?? _cli.Json["new"])!);
            Assert.True(File.Exists(_cli.File($"{name}/task.json")));
            Assert.True(File.Exists(_cli.File($"{name}/tokenizer/tokenizer.json")));
        }
    }

    /// <summary>Metrics are those of a teacher, wherever it is: a port for them that is taken is told before anything is scored.</summary>
    [Fact]
    public async Task Score_TeacherInThisProcessAndAPortThatIsTaken_IsToldByName()
    {
        await GenerateAsync(2);
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        string[] settings = ["score", "--traces", _cli.File("traces"), "--teacher", Teacher, "--prometheus-port", $"{port}"];

        Assert.Equal(2, await _cli.RunAsync([.. settings, "--out", _cli.File("scored")]));

        Assert.Contains($"--prometheus-port: {port} cannot be listened on", _cli.Error);
        Assert.False(File.Exists(_cli.File("scored/manifest.json")));
    }

    /// <summary>Without its tokens the text is written anew in the teacher's; the same tokens have the same logprobs.</summary>
    [Fact]
    public async Task Score_TextWithoutTokens_ScoresAsItWasGeneratedAndTeachesAStudent()
    {
        var written = await GenerateAsync(12);
        await StripAsync(written);

        await RunAsync("score", "--traces", _cli.File("text"), "--teacher", Teacher, "--layout", "plain", "--out", _cli.File("scored"));

        var scored = await ReadAsync("scored");
        var same = 0;
        foreach (var (before, row) in written.Zip(scored))
        {
            Assert.Equal(before.Id, row.Id);
            if (row.Logprobs!.TokenIds.AsSpan().SequenceEqual(before.Logprobs!.TokenIds))
            {
                same++;
                Assert.Equal(before.PromptTokenIds, row.PromptTokenIds);
                Assert.All(before.Logprobs.Logprobs.Zip(row.Logprobs.Logprobs), pair => Assert.Equal(pair.First, pair.Second, Tolerance));
            }
        }

        Assert.InRange(same, 10, 12);
        await RunAsync(
            "train",
            "--traces",
            _cli.File("scored"),
            "--architecture",
            "{hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}",
            "--max-steps",
            "3",
            "--batch-tokens",
            "256",
            "--out",
            _cli.File("student")
        );
        Assert.True(File.Exists(Path.Combine(_cli.File("student"), "model.safetensors")));
    }

    /// <summary>Several teachers' scores of one source lie side by side: the same rows in the same places.</summary>
    [Fact]
    public async Task Score_ByTwoTeachers_LiesSideBySide()
    {
        var written = await GenerateAsync(6);
        await RunAsync("score", "--traces", _cli.File("traces"), "--teacher", Teacher, "--out", _cli.File("one"));
        await RunAsync("score", "--traces", _cli.File("traces"), "--serve", Teacher, "--model", "other", "--out", _cli.File("two"));

        foreach (var name in new[] { "one", "two" })
        {
            var reader = await ShardReader.OpenAsync(_cli.File(name), cancellationToken: Token);
            var source = await ShardReader.OpenAsync(_cli.File("traces"), cancellationToken: Token);
            Assert.Equal(source.Cut, reader.Cut);
            Assert.Equal(written.Select(trace => trace.Id), await reader.ReadIdsAsync(Token).ToListAsync(Token));
        }

        Assert.Equal("other", ShardManifest.Load(_cli.File("two"))!.Dataset.Teacher);
    }

    /// <summary>A recipe's stage keeps paid scores where only how they are kept changes, and gives none up unasked.</summary>
    [Fact]
    public async Task Run_ScoringStageThatChanges_KeepsItsScoresUntilTheyAreDiscarded()
    {
        var recipe = $"""
            name: scoring
            seed: 1
            stages:
              problems: {"{"} do: problems, family: addition, count: 6 {"}"}
              scored: {"{"} do: score, problems: problems/train.jsonl, teacher: {Teacher}, top_logprobs: 4 {"}"}
            """;
        Assert.True(await _cli.RunRecipeAsync(recipe, "--json") == 0, _cli.Error);
        Assert.Equal(6, (int)_cli.Json["stages"]![1]!["summary"]!["scored"]!);

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json"));
        Assert.Equal("unchanged", (string)_cli.Json["stages"]![1]!["outcome"]!);

        Assert.True(await _cli.RunRecipeAsync(recipe, "--json", "--set", "scored.layout=plain") == 0, _cli.Error);
        Assert.Equal(0, (int)_cli.Json["stages"]![1]!["summary"]!["new"]!);
        Assert.Contains("keeps 6 traces that were scored before", _cli.Error, StringComparison.Ordinal);

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--set", "scored.layout=plain", "--set", "scored.top_logprobs=2"));
        Assert.Contains("holds 6 traces of other options: top_logprobs was 4, is 2", _cli.Error, StringComparison.Ordinal);

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json", "--discard", "--set", "scored.top_logprobs=2"));
        Assert.Equal(6, (int)_cli.Json["stages"]![1]!["summary"]!["new"]!);
    }

    [Theory]
    [InlineData("give either traces or problems", "--teacher", "x")]
    [InlineData("give either an endpoint", "--traces", "x")]
    [InlineData("name the model as the endpoint knows it", "--traces", "x", "--endpoint", "http://localhost:1/v1")]
    [InlineData("is about endpoints, and the teacher scores in this process", "--traces", "x", "--teacher", "x", "--tpm", "9")]
    [InlineData("is about endpoints, and the teacher scores in this process", "--traces", "x", "--teacher", "x", "--api-key-env", "KEY")]
    [InlineData("says how a file of problems is read, and traces are given", "--traces", "x", "--teacher", "x", "--solution-field", "s")]
    [InlineData("not both", "--traces", "x", "--teacher", "x", "--sampled-logprobs", "4", "--top-logprobs", "8")]
    public async Task Score_OptionsThatSayTooLittle_AreRefused(string told, params string[] options)
    {
        Directory.CreateDirectory(_cli.File("x"));
        Assert.Equal(
            2,
            await _cli.RunAsync(["score", .. options.Select(option => option == "x" ? _cli.File("x") : option), "--out", _cli.File("out")])
        );
        Assert.Contains(told, _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Score_EndpointWhoseTokenizerIsNotKnown_AsksForIt()
    {
        await StripAsync(await GenerateAsync(2));

        Assert.Equal(
            2,
            await _cli.RunAsync(
                "score",
                "--traces",
                _cli.File("text"),
                "--endpoint",
                "http://localhost:1/v1",
                "--model",
                "m",
                "--out",
                _cli.File("out")
            )
        );
        Assert.Contains("the endpoint's tokenizer is not known", _cli.Error, StringComparison.Ordinal);
    }

    /// <summary>Ids of another vocabulary would be scored as what this one has in their places.</summary>
    [Theory]
    [InlineData("--teacher")]
    [InlineData("--serve")]
    public async Task Score_TokenizerOfAnotherModel_IsRefused(string way)
    {
        await GenerateAsync(2);
        Directory.CreateDirectory(_cli.File("other"));
        ScoringServer.WriteVocabulary(_cli.File("other"));

        Assert.Equal(
            2,
            await _cli.RunAsync(
                "score",
                "--traces",
                _cli.File("traces"),
                way,
                Teacher,
                "--tokenizer",
                _cli.File("other"),
                "--out",
                _cli.File("out")
            )
        );
        Assert.Contains("does not hold the tokenizer of", _cli.Error, StringComparison.Ordinal);
        Assert.Equal(
            2,
            await _cli.RunAsync(
                "generate",
                "--problems",
                _cli.File("problems.jsonl"),
                "--serve",
                Teacher,
                "--tokenizer",
                _cli.File("other"),
                "--out",
                _cli.File("generated")
            )
        );
        Assert.Contains("does not hold the tokenizer of", _cli.Error, StringComparison.Ordinal);
    }

    static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The documented bound: (1/√p + √(k+1))/1000 nats above 1/4096 of the best probability, and 1/16 nat more below.</summary>
    static double HalfStep(double logprob, double best) =>
        ((1 / Math.Sqrt(Math.Exp(logprob))) + Math.Sqrt(K + 1)) / 1000 is var bound && logprob > best - Math.Log(4096)
            ? bound
            : (Math.Sqrt(4096 / Math.Exp(best)) + Math.Sqrt(K + 1)) / 1000 + (1.0 / 16);

    /// <summary>
    /// The same scores, exact and compact: the same tokens, the likeliest first, and each logprob within half a step of the grid. The token
    /// itself keeps its own.
    /// </summary>
    static void AssertRounded(TokenLogprobs exact, TokenLogprobs small, int t)
    {
        Assert.Equal(exact.Logprobs[t], small.Logprobs[t]);
        var (before, after) = (Row(exact, t), Row(small, t));
        Assert.Equal(before.Keys.Order(), after.Keys.Order());
        foreach (var (id, logprob) in before)
        {
            Assert.InRange(Math.Abs(logprob - after[id]), 0, HalfStep(logprob, exact.TopLogprobs[t * K]));
        }
    }

    static Dictionary<int, double> Row(TokenLogprobs logprobs, int t) =>
        Enumerable
            .Range(t * K, K)
            .Where(i => logprobs.TopIds[i] >= 0)
            .ToDictionary(i => logprobs.TopIds[i], i => (double)logprobs.TopLogprobs[i]);

    async Task RunAsync(params string[] arguments) =>
        Assert.True(
            await _cli.RunAsync([.. arguments, .. arguments[0] == "score" ? ["--top-logprobs", $"{K}"] : Array.Empty<string>()]) == 0,
            _cli.Error
        );

    async Task<List<Trace>> GenerateAsync(int count)
    {
        await RunAsync("problems", "--family", "all", "--count", $"{count}", "--seed", "5", "--out", _cli.File("problems.jsonl"));
        await RunAsync(
            "generate",
            "--problems",
            _cli.File("problems.jsonl"),
            "--serve",
            Teacher,
            "--top-logprobs",
            $"{K}",
            "--layout",
            "plain",
            "--max-tokens",
            "90",
            "--out",
            _cli.File("traces")
        );
        return await ReadAsync("traces");
    }

    /// <summary>The same traces as of an API that tells text alone.</summary>
    async Task StripAsync(List<Trace> written)
    {
        await using var writer = await ShardWriter.CreateAsync(
            _cli.File("text"),
            new DatasetDescription
            {
                Teacher = "an API",
                PromptFunction = "Reasoning/Solve",
                TokenIdentity = TokenIdentity.Text,
            },
            cancellationToken: Token
        );
        foreach (var trace in written)
        {
            await writer.WriteAsync(trace with { Logprobs = null, PromptTokenIds = [] }, Token);
        }

        await writer.CompleteAsync(Token);
    }

    async Task<List<Trace>> ReadAsync(string name)
    {
        var reader = await ShardReader.OpenAsync(_cli.File(name), cancellationToken: Token);
        return await reader.ReadAsync(Token).ToListAsync(Token);
    }
}
