using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.TestServer.Forms;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Probe;

public sealed class CapabilityProbeTests
{
    [Fact]
    public async Task ProbeAsync_TeacherWithIds_SaysWhatItGrants()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("46"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(TestTeacher.Sampling with { TopLogprobs = 20 }, TestTeacher.Token);

        Assert.Equal(TokenIdentity.Ids, capabilities.TokenIdentity);
        Assert.Equal(3, capabilities.TopLogprobs);
        Assert.Equal("tracedistill", capabilities.Dialect);
        Assert.Null(capabilities.SoftTargetProblem);
        Assert.True(capabilities.PromptTokenIds);
        Assert.Contains("\"max_tokens\":16", server.Requests.Single());
    }

    [Fact]
    public async Task ProbeAsync_BytesWithoutIds_IsOfTheMiddleGrade() =>
        Assert.Equal(
            TokenIdentity.Bytes,
            (
                await ProbeAsync(
                    Logprobs("""{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}""")
                )
            ).TokenIdentity
        );

    [Fact]
    public async Task ProbeAsync_TextIsEnough_WhereNoLogprobsAreAskedFor()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("46"));
        server.Models = null;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(TestTeacher.Sampling with { TopLogprobs = 0 }, TestTeacher.Token);

        Assert.Equal((TokenIdentity.Text, 0), (capabilities.TokenIdentity, capabilities.TopLogprobs));
        Assert.Null(capabilities.SoftTargetProblem);
    }

    [Theory]
    [InlineData("""{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"a","logprob":-0.5}]}""", "by their text alone")]
    [InlineData("""{"token":"a","id":1,"logprob":-0.5,"top_logprobs":[]}""", "no alternatives")]
    [InlineData("""{"token":"a","id":1,"logprob":0,"top_logprobs":[{"id":1,"logprob":0},{"id":2,"logprob":-9999}]}""", "made-up")]
    [InlineData(
        """{"token":"a","id":1,"logprob":-0.1,"top_logprobs":[{"id":1,"logprob":-0.1},{"id":2,"logprob":-0.2}]}""",
        "add up to 1.7"
    )]
    [InlineData("""{"token":"a","id":1,"logprob":-0.1,"top_logprobs":[{"id":1,"logprob":-2}]}""", "contradict")]
    [InlineData(
        """{"token":"a","id":9,"logprob":-0.4,"top_logprobs":[{"id":1,"logprob":-1.2},{"id":2,"logprob":-2},{"id":3,"logprob":-3}]}""",
        "contradict"
    )]
    [InlineData("", "no token")]
    public async Task ProbeAsync_LogprobsThatAreNone_SaysWhatIsWrongWithThem(string token, string expected)
    {
        var capabilities = await ProbeAsync(Logprobs(token));

        Assert.Contains(expected, capabilities.SoftTargetProblem);
        Assert.Contains("--top-logprobs 0", capabilities.SoftTargetProblem);
        Assert.Equal((TokenIdentity.Text, 0), (capabilities.TokenIdentity, capabilities.TopLogprobs));
    }

    /// <summary>Most servers pass over a field that they do not know; some refuse it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ProbeAsync_ServerThatDoesNotDraw_SaysSo(bool refuses)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                refuses && request.Contains("sampled_logprobs", StringComparison.Ordinal)
                    ? Replies.Error(400, "Unrecognized request argument supplied: sampled_logprobs")(context, request)
                    : Replies.Completion("46")(context, request)
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(
            TestTeacher.Sampling with
            {
                TopLogprobs = 12,
                DrawsAlternatives = true,
            },
            TestTeacher.Token
        );

        Assert.Contains("does not know sampled_logprobs", capabilities.SoftTargetProblem, StringComparison.Ordinal);
        Assert.Equal((TokenIdentity.Text, 0), (capabilities.TokenIdentity, capabilities.TopLogprobs));
    }

    /// <summary>ln 3/4 and ln 1/4: three of four draws, and one.</summary>
    [Fact]
    public async Task ProbeAsync_ServerThatDraws_IsAskedForDrawsAlone()
    {
        const string counts = """{"id":1,"logprob":-0.2876821,"count":3},{"id":2,"logprob":-1.3862944,"count":1}""";
        await using var server = await ProtocolServer.StartAsync(
            Logprobs($$"""{"token":"a","id":7,"logprob":-4.5,"top_logprobs":[{{counts}}]}""")
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(
            TestTeacher.Sampling with
            {
                TopLogprobs = 4,
                DrawsAlternatives = true,
                Temperature = 0.5,
            },
            TestTeacher.Token
        );

        Assert.Null(capabilities.SoftTargetProblem);
        Assert.Equal((4, LogprobKind.Raw), (capabilities.TopLogprobs, capabilities.Logprobs));
        Assert.Contains("\"sampled_logprobs\":4", server.Requests.First(), StringComparison.Ordinal);
        Assert.DoesNotContain("\"top_logprobs\"", server.Requests.First(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProbeAsync_NoLogprobs_SaysWhichServersHaveThem() =>
        Assert.Contains(
            "returned no logprobs",
            (await ProbeAsync(Replies.Json("""{"choices":[{"message":{"content":"46"}}]}"""))).SoftTargetProblem
        );

    [Theory]
    [InlineData("Requested sample logprobs of {0}, which is greater than max allowed: 20", 20, 3)]
    [InlineData("top_logprobs: out of range", 37, 3)]
    [InlineData("top_logprobs is out of range", 2, 3)]
    public async Task ProbeAsync_ServerWithALimit_FindsIt(string refusal, int limit, int asked)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                Asked(request) > limit
                    ? Replies.Error(400, string.Format(CultureInfo.InvariantCulture, refusal, Asked(request)))(context, request)
                    : Replies.Json(DialectReplies.Vllm("46", null, [Many(Asked(request))], "length"))(context, request)
        );
        server.ScriptsProbe = true;
        server.Form = TestServer.Forms.WireForms.Vllm;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(TestTeacher.Sampling with { TopLogprobs = asked }, TestTeacher.Token);

        if (limit >= asked)
        {
            Assert.Equal((asked, limit), (capabilities.TopLogprobs, capabilities.TopLogprobsLimit));
        }
        else
        {
            Assert.Contains(
                $"returns at most {limit} alternatives per token, not {asked}; ask for them with --top-logprobs {limit}",
                capabilities.SoftTargetProblem
            );
        }

        Assert.InRange(server.Requests.Count, 5, 20);
    }

    [Theory]
    [InlineData("vllm", true, true, null)]
    [InlineData("vllm with reasoning", true, true, true)]
    [InlineData("deepseek", true, false, true)]
    [InlineData("openai", false, false, false)]
    [InlineData("llamacpp", true, true, null)]
    public async Task ProbeAsync_AWholeAnswer_ShowsWhichTokensHaveLogprobs(
        string server,
        bool hasSoftTargets,
        bool endOfSequence,
        bool? reasoning
    )
    {
        var ok = ReplyToken.Characters("OK");
        ReplyToken[] ended = [.. ok, ReplyToken.EndOfSequence];
        ReplyToken[] thought = ReplyToken.Characters("Hm");
        var reply = server switch
        {
            "vllm" => DialectReplies.Vllm("OK", null, ended, asTokenIds: false),
            "vllm with reasoning" => DialectReplies.Vllm("OK", "Hm", [.. thought, .. ended], asTokenIds: false),
            "deepseek" => DialectReplies.DeepSeek("OK", "Hm", ok, thought),
            "openai" => DialectReplies.OpenAI("OK", ok, hiddenTokens: 64),
            _ => DialectReplies.LlamaCpp("OK", null, ended),
        };

        var capabilities = await ProbeAsync(Replies.Json(reply), scriptsProbe: true);

        Assert.Equal(
            (hasSoftTargets, endOfSequence, reasoning),
            (capabilities.SoftTargetProblem is null, capabilities.EndOfSequenceLogprobs, capabilities.ReasoningLogprobs)
        );
    }

    [Theory]
    [InlineData("OK</think>OK", true)]
    [InlineData("<think>Hm</think>OK", false)]
    [InlineData("OK", false)]
    public async Task ProbeAsync_AnswerThatBeginsWithinTheThinking_IsSeen(string answer, bool expected)
    {
        var capabilities = await ProbeAsync(Replies.Completion(answer), scriptsProbe: true);

        Assert.Equal(expected, capabilities.OpensThinking);
    }

    [Fact]
    public async Task ProbeAsync_AfterIt_AGenerationCutOffInTheThinkingIsReasoning()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("\"max_tokens\":100", StringComparison.Ordinal)
                    ? Replies.Json(DialectReplies.TraceDistill("so far", ReplyToken.Characters("so far"), "length"))(context, request)
                    : Replies.Completion("Hm</think>OK")(context, request)
        );
        server.ScriptsProbe = true;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token);

        var result = await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal(("so far", ""), (result.Reasoning, result.Answer));
    }

    [Theory]
    [InlineData("""{"choices":[{"text":"12 + 34 = 46.","logprobs":{"token_logprobs":[null,-1.5,-0.5]}}]}""", "echo")]
    [InlineData("""{"choices":[{"text":".","logprobs":{"token_logprobs":[-0.5]}}]}""", "none")]
    [InlineData(null, "none")]
    public async Task ProbeAsync_Completions_TellWhetherPromptsAreScored(string? answer, string expected)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("46"));
        server.Completions = answer is null ? null : Replies.Json(answer);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Equal(expected, (await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)).PromptScoring);
    }

    /// <summary>The way that score would take, of those that its kind of server may know.</summary>
    [Theory]
    [InlineData("vllm", """{"choices":[{"text":".","prompt_logprobs":[null,{"5":{"logprob":-1.5,"rank":1}}]}]}""", "prompt_logprobs")]
    [InlineData("vllm", """{"choices":[{"text":"12 + 34 = 46.","logprobs":{"token_logprobs":[null,-1.5]}}]}""", "echo")]
    [InlineData("vllm", """{"choices":[{"text":".","prompt_logprobs":null}]}""", "none")]
    [InlineData("sglang", """{"text":"","meta_info":{"input_token_logprobs":[[null,5,"1"],[-1.5,6,"2"]]}}""", "input_token_logprobs")]
    [InlineData("sglang", """{"text":"","meta_info":{}}""", "none")]
    public async Task ProbeAsync_ServerOfAKind_IsAskedInTheWaysThatItMayKnow(string kind, string answer, string expected)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("46"));
        server.Form = kind == "vllm" ? WireForms.Vllm : WireForms.Sglang;
        server.Completions = (context, request) =>
            expected == "echo" && !request.Contains("echo", StringComparison.Ordinal)
                ? Replies.Error(400, "unknown field prompt_logprobs")(context, request)
                : Replies.Json(answer)(context, request);
        server.Generates = Replies.Json(answer);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Equal(expected, (await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)).PromptScoring);
    }

    [Theory]
    [InlineData("two", true)]
    [InlineData("one", false)]
    [InlineData("refused", false)]
    public async Task ProbeAsync_SeveralChoices_AreAskedForOnce(string answer, bool expected)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                !request.Contains("\"n\":2", StringComparison.Ordinal) ? Replies.Completion("46")(context, request)
                : answer == "refused" ? Replies.Error(400, "Only one completion choice is allowed")(context, request)
                : Replies.Json(
                    answer == "two"
                        ? """{"choices":[{"message":{"content":"4"}},{"message":{"content":"4"}}]}"""
                        : """{"choices":[{"message":{"content":"4"}}]}"""
                )(context, request)
        );
        server.ScriptsProbe = true;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Equal(expected, (await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)).SeveralChoices);
    }

    [Fact]
    public async Task ProbeAsync_UnknownModel_ListsWhatTheEndpointOffers()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(404, "no such model", "model_not_found"));
        server.Models = ["small", "large"];
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)
        );

        Assert.Equal($"teacher at {server.Url} does not exist; this endpoint offers small, large: name one with --model", error.Message);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(422)]
    public async Task ProbeAsync_RequestCalledWrong_IsBadInputInTheServersWords(int status)
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ProbeAsync(Replies.Error(status, "temperature must be at most 2", "invalid_value"))
        );

        Assert.EndsWith(
            $"refused the request ({status}): temperature must be at most 2; change the setting that it objects to",
            error.Message
        );
    }

    [Fact]
    public async Task ProbeAsync_LogprobsRefused_IsTheTeachersLack()
    {
        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            ProbeAsync(Replies.Error(400, "top_logprobs must be at most 5", "invalid_value"))
        );

        Assert.Contains("lower --top-logprobs", error.Message);
    }

    [Fact]
    public async Task ProbeAsync_NoProviderWithLogprobs_IsALackOfSoftTargetsAndNotOfTheModel()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("\"logprobs\":true", StringComparison.Ordinal)
                    ? Replies.Error(
                        404,
                        "No endpoints found that can handle the requested parameters. To learn more about provider routing, visit the docs",
                        "404"
                    )(context, request)
                    : Replies.Completion("46")(context, request)
        );
        server.ScriptsProbe = true;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Contains(
            "no provider that returns logprobs",
            (await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)).SoftTargetProblem
        );
    }

    [Fact]
    public async Task ProbeAsync_ServerThatAnswersToAnyName_IsAccepted()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("46"));
        server.Models = ["models/q4.gguf"];
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Equal(TokenIdentity.Ids, (await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)).TokenIdentity);
    }

    [Fact]
    public async Task ProbeAsync_NobodyListens_GivesUpWithinSeconds()
    {
        var server = await ProtocolServer.StartAsync();
        var url = server.Url;
        await server.DisposeAsync();
        var time = TestTeacher.Time();
        using var teacher = new TeacherPool(TestTeacher.Endpoint(url), new(), time, new RecordingObserver(), () => 0.99);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token)
        );

        Assert.Contains($"cannot reach teacher at {url}", error.Message);
        Assert.True(time.Delays.Sum(delay => delay.TotalSeconds) < 5);
    }

    [Theory]
    [InlineData(-0.7, -1.4, LogprobKind.Raw)]
    [InlineData(-0.72, -1.37, LogprobKind.Raw)]
    [InlineData(-0.4, -1.9, LogprobKind.Processed)]
    [InlineData(-0.7, -9999, LogprobKind.Processed)]
    public Task ProbeAsync_UnderATemperature_SeesWhetherLogprobsFollowIt(double first, double second, LogprobKind expected) =>
        CheckKindAsync([-0.7, -1.4], [first, second], expected);

    [Theory]
    [InlineData(0, -17, -18, 0, -34, -36, LogprobKind.Processed)]
    [InlineData(0, -17, -18, 0, -17.125, -17.875, LogprobKind.Raw)]
    [InlineData(-0.03, -3.6, -6, -0.0008, -7.1, -11.9, LogprobKind.Processed)]
    [InlineData(-0.03, -3.6, -6, -0.03, -3.6, -6.25, LogprobKind.Raw)]
    public Task ProbeAsync_ModelThatIsSureOfItsFirstToken_SeesItAllTheSame(
        double a,
        double b,
        double c,
        double d,
        double e,
        double f,
        LogprobKind expected
    ) => CheckKindAsync([a, b, c], [d, e, f], expected);

    static async Task CheckKindAsync(double[] plain, double[] tempered, LogprobKind expected)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var logprobs = request.Contains("\"temperature\":1,", StringComparison.Ordinal) ? plain : tempered;
                var alternatives = string.Join(
                    ',',
                    logprobs.Index().Select(entry => $$"""{"id":{{entry.Index + 1}},"logprob":{{entry.Item}}}""")
                );
                return Logprobs($$"""{"id":1,"logprob":{{logprobs[0]}},"top_logprobs":[{{alternatives}}]}""")(context, request);
            }
        );
        server.ScriptsProbe = true;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(TestTeacher.Sampling with { Temperature = 0.5 }, TestTeacher.Token);

        Assert.Equal(expected, capabilities.Logprobs);
    }

    [Fact]
    public async Task ProbeAsync_UnlikelyAlternativesThatMoveByRounding_AreRawAllTheSame()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var b = request.Contains("\"temperature\":1,", StringComparison.Ordinal) ? -7.0 : -7.25;
                return Logprobs($$"""{"id":1,"logprob":-0.01,"top_logprobs":[{"id":1,"logprob":-0.01},{"id":2,"logprob":{{b}}}]}""")(
                    context,
                    request
                );
            }
        );
        server.ScriptsProbe = true;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Equal(
            LogprobKind.Raw,
            (await teacher.ProbeAsync(TestTeacher.Sampling with { Temperature = 0.5 }, TestTeacher.Token)).Logprobs
        );
    }

    [Fact]
    public async Task ProbeAsync_KindThatCannotBeTold_IsNotGuessedButUnderNeutralSettings()
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("Name any word", StringComparison.Ordinal)
                    ? Replies.Status(500)(context, request)
                    : Replies.Completion("46")(context, request)
        );
        server.ScriptsProbe = true;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        Assert.Null((await teacher.ProbeAsync(TestTeacher.Sampling with { Temperature = 1, TopP = 1 }, TestTeacher.Token)).Logprobs);
        await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(TestTeacher.Sampling with { Temperature = 0.7 }, TestTeacher.Token)
        );
    }

    static Func<HttpContext, string, Task> Logprobs(string token) => Replies.Json(WireJson.WithLogprobs($$"""{"content":[{{token}}]}"""));

    static async Task<TeacherCapabilities> ProbeAsync(Func<HttpContext, string, Task> reply, bool scriptsProbe = false)
    {
        await using var server = await ProtocolServer.StartAsync(reply);
        server.ScriptsProbe = scriptsProbe;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        return await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token);
    }

    static int Asked(string request)
    {
        using var document = JsonDocument.Parse(request);
        return document.RootElement.TryGetProperty("top_logprobs", out var k) ? k.GetInt32() : 0;
    }

    /// <summary>A token with so many alternatives, itself first.</summary>
    static ReplyToken Many(int count) =>
        new(1, "4", -0.5, [(1, "4", -0.5), .. Enumerable.Range(2, Math.Max(0, count - 1)).Select(i => (i, $"{i}", -8.0 - (i * 0.01)))]);
}
