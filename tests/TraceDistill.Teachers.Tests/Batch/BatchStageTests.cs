using System.Text;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Batch;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.TestServer;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Batch;

public sealed class BatchStageTests
{
    [Fact]
    public async Task WriteAsync_NothingThere_AsksForEveryTraceByItsId()
    {
        using var run = new CollectionRun(problems: 6);

        var summary = await BatchStage.WriteAsync(Out(run), run.Out, SilentObserver.Instance, TestTeacher.Token);

        var requests = File.ReadLines(FileOf(run)).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(6, summary.Requests);
        Assert.All(requests, request =>
            Assert.Equal(
                ("POST", "/v1/chat/completions"),
                (request.GetProperty("method").GetString(), request.GetProperty("url").GetString())
            )
        );
        Assert.Equal(
            Enumerable.Range(0, 6).Select(i => $"What is {i} + 2?"),
            requests.Select(request => request.GetProperty("body").GetProperty("messages")[0].GetProperty("content").GetString())
        );
        Assert.All(requests, request =>
            Assert.Equal(
                ("teacher", 3, 100),
                (
                    request.GetProperty("body").GetProperty("model").GetString(),
                    request.GetProperty("body").GetProperty("top_logprobs").GetInt32(),
                    request.GetProperty("body").GetProperty("max_tokens").GetInt32()
                )
            )
        );
        Assert.Equal(6, requests.Select(request => request.GetProperty("custom_id").GetString()).Distinct().Count());
    }

    [Fact]
    public async Task ImportAsync_ResultsInAnyOrder_AreTheTracesThatTheEndpointGives()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var direct = new CollectionRun(problems: 8);
        using var batched = new CollectionRun(problems: 8);
        await direct.RunAsync(server);
        await BatchStage.WriteAsync(Out(batched), batched.Out, SilentObserver.Instance, TestTeacher.Token);
        await AnswerAsync(server, batched, lines => lines.Reverse());
        var asked = server.Requests.Count;

        var summary = await ImportAsync(batched);

        Assert.Equal((8, 8, 0, 8), (summary.Count, summary.Collected, summary.Failed, summary.Correct));
        Assert.Equal(asked, server.Requests.Count);
        Assert.Equal((await direct.TracesAsync()).Select(Content), (await batched.TracesAsync()).Select(Content));
        Assert.Equal(8, (await batched.RunAsync(server)).Count);
        Assert.Equal(asked, server.Requests.Count);
    }

    [Fact]
    public async Task ImportAsync_FailedAndUnknownResults_AreNamedAndTheOthersImported()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 8);
        var observer = new RecordingObserver();
        await BatchStage.WriteAsync(Out(run), run.Out, SilentObserver.Instance, TestTeacher.Token);
        await AnswerAsync(server, run, lines =>
            [
                .. lines.Take(5),
                lines
                    .ElementAt(5)
                    .Replace("\"status_code\":200", "\"status_code\":400", StringComparison.Ordinal)
                    .Replace("\"choices\"", "\"error\":{\"message\":\"too long\"},\"choices\"", StringComparison.Ordinal),
                """{"id":"b","custom_id":"ffffffffffffffffffffffffffffff06","response":null,"error":{"code":"batch_expired","message":"expired"}}""",
                "",
                lines.ElementAt(6).Replace("\"custom_id\":\"", "\"custom_id\":\"x", StringComparison.Ordinal),
                lines.ElementAt(7).Replace("\"choices\"", "\"chances\"", StringComparison.Ordinal),
            ]
        );

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => ImportAsync(run, observer));

        Assert.StartsWith("3 of 8 traces are missing: p007: ", error.Message);
        Assert.Contains("--batch-out writes a batch of what is missing alone", error.Message);
        Assert.Null(ShardManifest.Load(run.Out));
        Assert.Contains(observer.Messages, told => told.StartsWith("1 results match no request", StringComparison.Ordinal));
        Assert.Contains(observer.Messages, told =>
            told.StartsWith("2 requests of the batch failed", StringComparison.Ordinal)
            && told.Contains("(status 400: too long)", StringComparison.Ordinal)
            && told.Contains("ff06 (expired)", StringComparison.Ordinal)
        );
        Assert.Contains("5 results imported", observer.Messages);

        Assert.Equal(3, (await BatchStage.WriteAsync(Out(run), run.Out, SilentObserver.Instance, TestTeacher.Token)).Requests);
        Assert.Equal((8, 3), (await run.RunAsync(server)) is var rest ? (rest.Count, rest.Collected) : default);
    }

    [Fact]
    public async Task ImportAsync_FirstAnswerUnreadable_CostsThatSampleAlone()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 4);
        await BatchStage.WriteAsync(Out(run), run.Out, SilentObserver.Instance, TestTeacher.Token);
        await AnswerAsync(server, run, lines =>
            [lines.First().Replace("\"choices\"", "\"chances\"", StringComparison.Ordinal), .. lines.Skip(1)]
        );

        var summary = await ImportAsync(run, allowMissing: 0.25);

        Assert.Equal((3, 1, 1), (summary.Count, summary.Failed, summary.Missing));
        Assert.Equal(new MissingTraces(1, 0.25), ShardManifest.Load(run.Out)!.Missing);
    }

    [Fact]
    public async Task ImportAsync_PromptsThatCanNeverBeAnswered_AreLabelledRowsAndNotMissing()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 4);
        await BatchStage.WriteAsync(Out(run), run.Out, SilentObserver.Instance, TestTeacher.Token);
        static string Refused(string line, string error)
        {
            using var result = JsonDocument.Parse(line);
            return """{"custom_id":"ID","response":{"status_code":400,"body":{"error":{"message":"no","code":"CODE"} } },"error":null}"""
                .Replace("ID", result.RootElement.GetProperty("custom_id").GetString(), StringComparison.Ordinal)
                .Replace("CODE", error, StringComparison.Ordinal);
        }

        await AnswerAsync(server, run, lines =>
            [Refused(lines.First(), "context_length_exceeded"), Refused(lines.ElementAt(1), "content_filter"), .. lines.Skip(2)]
        );

        var summary = await ImportAsync(run);

        Assert.Equal((4, 4, 2, 0), (summary.Count, summary.Collected, summary.Refusal, summary.Failed));
        var traces = await run.TracesAsync();
        Assert.Equal(["context_length", "content_filter", "stop", "stop"], traces.Select(trace => trace.FinishReason));
        Assert.Equal(["unverified", "unverified"], traces.Take(2).Select(trace => trace.Verdict));
    }

    [Fact]
    public async Task ImportAsync_EveryRequestFailed_SaysWhyAndNotThatTheOptionsAreOthers()
    {
        using var run = new CollectionRun(problems: 2);
        File.WriteAllText(
            FileOf(run),
            """{"custom_id":"ffffffffffffffffffffffffffffff06","response":null,"error":{"code":"batch_expired","message":"expired"}}"""
        );

        var error = await Assert.ThrowsAsync<ExternalFailureException>(() => ImportAsync(run));

        Assert.Contains("all 1 requests of the batch failed, the first for this reason: expired", error.Message);
    }

    [Fact]
    public async Task ImportAsync_TracesAskedForAgain_TakesNoAnswerToTheFirstAsking()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);
        await BatchStage.WriteAsync(Out(run), run.Out, SilentObserver.Instance, TestTeacher.Token);
        await AnswerAsync(server, run, lines =>
            [
                lines.First().Replace("\"finish_reason\":\"stop\"", "\"finish_reason\":\"length\"", StringComparison.Ordinal),
                .. lines.Skip(1),
            ]
        );
        Assert.Equal((3, 1), (await ImportAsync(run)) is var first ? (first.Count, first.Length) : default);
        var before = await run.TracesAsync();

        var old = await Assert.ThrowsAsync<InvalidInputException>(() => ImportAsync(run, reask: true));
        Assert.Equal(
            1,
            (
                await BatchStage.WriteAsync(
                    Out(run) with
                    {
                        Reask = [TraceFlaw.Length],
                    },
                    run.Out,
                    SilentObserver.Instance,
                    TestTeacher.Token
                )
            ).Requests
        );
        var asked = JsonDocument.Parse(File.ReadLines(FileOf(run)).Single()).RootElement;
        await AnswerAsync(server, run, lines => lines);
        var summary = await ImportAsync(run, reask: true);

        Assert.Contains("answers none of the 1 requests", old.Message);
        Assert.Equal((3, 0, 1), (summary.Count, summary.Length, summary.Collected));
        var after = await run.TracesAsync();
        Assert.Equal(before.Select(trace => trace.Id), after.Select(trace => trace.Id));
        Assert.Equal([false, true, true], before.Zip(after, (one, other) => one.Seed == other.Seed));
        Assert.Equal(after[0].Seed, asked.GetProperty("body").GetProperty("seed").GetInt64());
        Assert.Equal($"{after[0].Id}-{after[0].Seed}", asked.GetProperty("custom_id").GetString());
    }

    [Theory]
    [InlineData(3, 1_000_000, new[] { 3, 3, 1 })]
    [InlineData(100, 1_500, new[] { 2, 2, 2, 1 })]
    [InlineData(100, 1, new[] { 1, 1, 1, 1, 1, 1, 1 })]
    public async Task WriteAsync_MoreThanAFileMayHold_IsPartedIntoSeveral(int most, long mostBytes, int[] expected)
    {
        using var folder = new TemporaryDirectory();
        var requests = Enumerable
            .Range(0, 7)
            .Select(i =>
                ($"id{i}", new GenerationRequest($"id{i}", [new("user", new string('x', 400))], TestTeacher.Sampling with { Seed = i }))
            )
            .ToAsyncEnumerable();

        var summary = await BatchRequestFile.WriteAsync(
            folder.File("batch.jsonl"),
            KnownDialects.OpenAI,
            "m",
            requests,
            new BatchBounds(most, mostBytes),
            TestTeacher.Token
        );

        Assert.Equal(expected, summary.Files.Select(file => File.ReadLines(file).Count()));
        Assert.Equal(
            Enumerable.Range(1, expected.Length).Select(i => folder.File(i == 1 ? "batch.jsonl" : $"batch-{i}.jsonl")),
            summary.Files
        );
        Assert.Equal(
            Enumerable.Range(0, 7).Select(i => $"id{i}"),
            summary
                .Files.SelectMany(File.ReadLines)
                .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString())
        );
        Assert.Equal(7, summary.Requests);
    }

    [Theory]
    [InlineData("nonsense", "line 1: is not JSON")]
    [InlineData("{\"custom_id\":\"\\ud800\",\"response\":{}}", "line 1: is not JSON")]
    [InlineData("{\"response\":{}}", "line 1: has no custom_id")]
    [InlineData(
        "{\"custom_id\":\"ffffffffffffffffffffffffffffff06\",\"response\":{\"status_code\":200,\"body\":{}}}",
        "answers none of the 3 requests"
    )]
    public async Task ImportAsync_FileThatIsNoResult_SaysSo(string content, string expected)
    {
        using var run = new CollectionRun(problems: 3);
        File.WriteAllText(FileOf(run), content);

        Assert.Contains(expected, (await Assert.ThrowsAsync<InvalidInputException>(() => ImportAsync(run))).Message);
    }

    static GenerateOptions Out(CollectionRun run) =>
        run.Options("http://unused") with
        {
            Endpoint = null,
            Dialect = "tracedistill",
            BatchOut = FileOf(run),
        };

    static Task<CollectSummary> ImportAsync(
        CollectionRun run,
        IRunObserver? observer = null,
        bool reask = false,
        double allowMissing = 0
    ) =>
        BatchStage.ImportAsync(
            run.Options("http://unused") with
            {
                Endpoint = null,
                Dialect = "tracedistill",
                BatchIn = [FileOf(run)],
                AllowMissing = allowMissing,
                Reask = reask ? [TraceFlaw.Length] : [],
            },
            run.Out,
            MathVerifier.Instance,
            observer ?? SilentObserver.Instance,
            TestTeacher.Time(),
            () => { },
            TestTeacher.Token
        );

    static string FileOf(CollectionRun run) => run.Problems + ".batch";

    /// <summary>Does what a batch service does: posts each request's body, and puts the answers where the requests stood.</summary>
    static async Task AnswerAsync(ProtocolServer server, CollectionRun run, Func<IEnumerable<string>, IEnumerable<string>> change)
    {
        using var http = new HttpClient();
        var lines = new List<string>();
        foreach (var line in File.ReadAllLines(FileOf(run)))
        {
            using var request = JsonDocument.Parse(line);
            using var content = new StringContent(request.RootElement.GetProperty("body").GetRawText(), Encoding.UTF8, "application/json");
            using var response = await http.PostAsync($"{server.Url}/chat/completions", content, TestTeacher.Token);
            lines.Add(
                $$"""{"id":"b","custom_id":"{{request.RootElement.GetProperty("custom_id").GetString()}}","response":{"status_code":200,"request_id":"r","body":{{await response.Content.ReadAsStringAsync(TestTeacher.Token)}}},"error":null}"""
            );
        }

        File.WriteAllLines(FileOf(run), change(lines));
    }

    static string Content(Trace trace) =>
        $"{trace.Id} {trace.Seed} {trace.Generation} {trace.Verdict} {trace.FinishReason} {trace.CompletionTokens} "
        + $"{string.Join(',', trace.Logprobs!.TopIds)} {string.Join(',', trace.PromptTokenIds)}";
}
