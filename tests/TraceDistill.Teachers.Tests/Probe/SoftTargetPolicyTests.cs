using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Probe;

/// <summary>What a whole collection makes of what the probe finds.</summary>
public sealed class SoftTargetPolicyTests
{
    [Fact]
    public async Task RunAsync_SoftTargetsRequiredAndNotToBeHad_StopsBeforeTheFirstTrace()
    {
        await using var server = await ProtocolServer.StartAsync(TextAlone);
        using var run = new CollectionRun(problems: 3);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(server));

        Assert.Contains("by their text alone", error.Message);
        Assert.Empty(CollectionRun.Seeds(server.Requests));
    }

    [Fact]
    public async Task RunAsync_SoftTargetsNotRequired_CollectsTextUnderTheSameIdsAndSaysSo()
    {
        await using var poor = await ProtocolServer.StartAsync(TextAlone);
        await using var rich = await ProtocolServer.StartAsync(Replies.Sum);
        using var text = new CollectionRun(problems: 3);
        using var soft = new CollectionRun(problems: 3);
        var observer = new RecordingObserver();

        await text.RunAsync(poor, options => options with { RequireSoftTargets = false }, observer);
        await soft.RunAsync(rich);

        var traces = await text.TracesAsync();
        Assert.All(traces, trace => Assert.Null(trace.Logprobs));
        Assert.Equal((await soft.TracesAsync()).Select(trace => trace.Id), traces.Select(trace => trace.Id));
        Assert.Contains(observer.Messages, message =>
            message.EndsWith("collecting text alone, because require_soft_targets is false", StringComparison.Ordinal)
        );
        Assert.DoesNotContain(CollectionRun.Seeds(poor.Requests).Zip(poor.Requests.Skip(1)), pair =>
            pair.Second.Contains("logprobs", StringComparison.Ordinal) && !pair.Second.Contains("12 + 34", StringComparison.Ordinal)
        );
        var manifest = ShardManifest.Load(text.Out)!;
        Assert.Equal((TokenIdentity.Text, 0), (manifest.Dataset.TokenIdentity, manifest.Dataset.TopK));
        Assert.Contains("by their text alone", manifest.Capabilities!.SoftTargetProblem);
    }

    [Fact]
    public async Task RunAsync_Manifest_TellsWhatTheEndpointWasSeenToDoAndIsReadWithoutIt()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 2);
        var observer = new RecordingObserver();

        await run.RunAsync(server, observer: observer);

        var file = Path.Combine(run.Out, ShardManifest.FileName);
        var json = JsonNode.Parse(await File.ReadAllTextAsync(file, TestTeacher.Token))!.AsObject();
        var capabilities = json["capabilities"]!.AsObject();
        Assert.Equal(
            ("tracedistill", "ids", 3, "raw"),
            (
                (string?)capabilities["dialect"],
                (string?)capabilities["token_identity"],
                (int)capabilities["top_logprobs"]!,
                (string?)capabilities["logprobs"]
            )
        );
        Assert.DoesNotContain(server.Url, json.ToJsonString());
        Assert.Contains(observer.Messages, message =>
            message.Contains("dialect tracedistill, top 3 logprobs with token ids", StringComparison.Ordinal)
        );

        // As the version before wrote it.
        json.Remove("capabilities");
        json["dataset"]!.AsObject().Remove("extra_body");
        await File.WriteAllTextAsync(file, json.ToJsonString(), TestTeacher.Token);
        var asked = server.Requests.Count;
        await run.RunAsync(server, options => options with { Limit = 2 });
        Assert.Equal(asked, server.Requests.Count);
        Assert.Null(ShardManifest.Load(run.Out)!.Capabilities);
    }

    [Fact]
    public async Task RunAsync_Resumed_ConfirmsInOneRequestWhatWasFoundOut()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        server.ScriptsProbe = true;
        using var run = new CollectionRun(problems: 6);
        int Probes() =>
            server.Requests.Count(request =>
                request.Contains("\"seed\":0,", StringComparison.Ordinal) || request.Contains("\"seed\":0}", StringComparison.Ordinal)
            );

        await run.RunAsync(server, options => options with { Limit = 3 });
        var first = Probes();
        var found = ShardManifest.Load(run.Out)!.Capabilities;
        await run.RunAsync(server);

        Assert.InRange(first, 3, 20);
        Assert.Equal(first + 1, Probes());
        Assert.NotNull(found!.EndOfSequenceLogprobs);
        Assert.Equal(found, ShardManifest.Load(run.Out)!.Capabilities);
    }

    [Fact]
    public async Task RunAsync_Finished_WantsNoKeyAndAsksNobody()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 2);
        await run.RunAsync(server);
        var asked = server.Requests.Count;

        var summary = await run.RunAsync(server, options => options with { ApiKeyEnv = "TRACEDISTILL_TEST_NO_SUCH_KEY" });

        Assert.Equal((2, 0, asked), (summary.Count, summary.Collected, server.Requests.Count));
    }

    [Fact]
    public async Task RunAsync_ServerGrantsLessThanBefore_IsLookedAtAnewAndRefusedWhereItMakesOtherTraces()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        await run.RunAsync(server, options => options with { Limit = 3 });
        await using var poorer = await ProtocolServer.StartAsync(TextAlone);

        await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(poorer));

        Assert.Equal(3, (await run.TracesAsync()).Count);
    }

    [Fact]
    public async Task RunAsync_ExtraBody_IsPartOfEveryRequestAndOfWhatTheDataSetIs()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 2);
        GenerateOptions Extra(GenerateOptions options, int k) =>
            options with
            {
                ExtraBody = new Dictionary<string, JsonElement> { ["top_k"] = JsonSerializer.SerializeToElement(k) },
            };

        await run.RunAsync(server, options => Extra(options, 20));

        Assert.All(server.Requests, request => Assert.Contains("\"top_k\":20", request));
        Assert.Equal("""{"top_k":20}""", ShardManifest.Load(run.Out)!.Dataset.ExtraBody);
        var error = await Assert.ThrowsAnyAsync<InvalidInputException>(() => run.RunAsync(server, options => Extra(options, 40)));
        Assert.Contains("extra_body", error.Message);
    }

    /// <summary>At temperature 1 too, logprobs that follow the request's settings are of what a penalty left.</summary>
    [Theory]
    [InlineData(true, LogprobKind.Processed)]
    [InlineData(false, LogprobKind.Raw)]
    public async Task RunAsync_PenaltyAtTemperatureOne_IsProcessedWhereLogprobsFollowTheSettings(bool follows, LogprobKind expected)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var (first, second) =
                    follows && !request.Contains("\"temperature\":1,", StringComparison.Ordinal) ? (-0.4, -1.9) : (-0.7, -1.4);
                var token =
                    $$"""{"id":1,"logprob":{{first}},"top_logprobs":[{"id":1,"logprob":{{first}}},{"id":2,"logprob":{{second}}}]}""";
                return request.Contains("Name any word", StringComparison.Ordinal)
                    ? Replies.Json(WireJson.WithLogprobs($$"""{"content":[{{token}}]}"""))(context, request)
                    : Replies.Sum(context, request);
            }
        );
        server.ScriptsProbe = true;
        using var run = new CollectionRun(problems: 2);
        var penalty = new Dictionary<string, JsonElement> { ["repetition_penalty"] = JsonSerializer.SerializeToElement(1.2) };

        await run.RunAsync(server, options => options with { Temperature = 1, ExtraBody = penalty });

        var dataset = ShardManifest.Load(run.Out)!.Dataset;
        Assert.Equal(expected, dataset.Logprobs);
        Assert.Equal(
            follows,
            SamplingDistortions.Warning(dataset)?.Contains("after repetition_penalty 1.2, which cannot be undone") ?? false
        );
    }

    [Fact]
    public async Task RunAsync_TraceWhoseTokensAreNotAllTold_IsKeptForTheHardLossAndCounted()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("What is 1 + 2?", StringComparison.Ordinal) ? Partial(context, request) : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 3);
        var observer = new RecordingObserver();

        await run.RunAsync(server, observer: observer);

        Assert.Equal([false, true, false], (await run.TracesAsync()).Select(trace => trace.Logprobs is null));
        Assert.Contains(
            "1 of 3 new traces have no soft targets and serve the hard loss alone: 1 × the teacher returned logprobs for 17 of 19 tokens",
            observer.Messages
        );
    }

    /// <summary>Of 200 answers with parts of characters, 2.5 % with soft targets are enough, wherever they stand.</summary>
    [Theory]
    [InlineData(30, true)]
    [InlineData(60, false)]
    public async Task RunAsync_ManyAnswersWithPartsOfCharacters_EndTheRunByTheirShareAlone(int oneWholeIn, bool isEnough)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var number = NumberOf(request);
                return number is null || number % oneWholeIn == 0 ? Replies.Sum(context, request) : Partial(context, request);
            }
        );
        using var run = new CollectionRun(problems: 240);
        Task<CollectSummary> RunAsync() => run.RunAsync(server, options => options with { Concurrency = 1 });

        if (isEnough)
        {
            Assert.Equal(240, (await RunAsync()).Count);
        }
        else
        {
            Assert.Contains(
                "of the last 200 answers came without soft targets",
                (await Assert.ThrowsAsync<TeacherUnavailableException>(RunAsync)).Message
            );
        }
    }

    [Fact]
    public async Task RunAsync_ProbeMeetsPartsOfCharactersTwice_AsksAThirdTime()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("12 + 34", StringComparison.Ordinal) || request.Contains("word OK", StringComparison.Ordinal)
                    ? Partial(context, request)
                    : Replies.Sum(context, request)
        );
        server.ScriptsProbe = true;
        using var run = new CollectionRun(problems: 3);

        await run.RunAsync(server);

        Assert.All(await run.TracesAsync(), trace => Assert.NotNull(trace.Logprobs));
    }

    [Fact]
    public async Task RunAsync_TeacherThatOnlyCallsTools_IsToldAsSuchAndCollectedAsText()
    {
        const string Call =
            """{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"calc","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":5}}""";
        await using var server = await ProtocolServer.StartAsync(Replies.Json(Call));
        server.ScriptsProbe = true;
        using var run = new CollectionRun(problems: 3);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => run.RunAsync(server));
        var summary = await run.RunAsync(server, options => options with { TopLogprobs = 0 });

        Assert.Contains("answers small requests with calls of tools alone", error.Message);
        Assert.Equal(3, summary.Count);
        Assert.All(await run.TracesAsync(), trace => Assert.Contains("calc", trace.ToolCalls));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_LogprobsThatStayAway_EndARunThatRequiresThem(bool isRequired)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                Replies.Json(WireJson.Completion("<think>a</think>46", request.Contains("12 + 34", StringComparison.Ordinal) ? 3 : 0))(
                    context,
                    request
                )
        );
        using var run = new CollectionRun(problems: 40);
        Task<CollectSummary> RunAsync() => run.RunAsync(server, options => options with { RequireSoftTargets = isRequired });

        if (isRequired)
        {
            Assert.Contains(
                "21 of the last 21 answers came without soft targets",
                (await Assert.ThrowsAsync<TeacherUnavailableException>(RunAsync)).Message
            );
        }
        else
        {
            Assert.Equal(40, (await RunAsync()).Count);
        }
    }

    static int? NumberOf(string request) =>
        Regex.Match(request, @"What is (\d+) \+ 2\?", RegexOptions.None, TimeSpan.FromSeconds(1)) is { Success: true } match
            ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
            : null;

    /// <summary>Two tokens more than are listed, as where a character is of several tokens.</summary>
    static Task Partial(HttpContext context, string request) =>
        Replies.Json(
            DialectReplies
                .TraceDistill("<think>a</think>3", ReplyToken.Characters("<think>a</think>3"))
                .Replace("\"completion_tokens\":17", "\"completion_tokens\":19", StringComparison.Ordinal)
        )(context, request);

    static Task TextAlone(HttpContext context, string request) =>
        Replies.Json(DialectReplies.Tgi("<think>a</think>46", ReplyToken.Characters("46")))(context, request);
}
