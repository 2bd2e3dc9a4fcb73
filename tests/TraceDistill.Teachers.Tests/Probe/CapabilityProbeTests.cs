using Microsoft.AspNetCore.Http;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Tests.Support;
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
        Assert.Equal(["teacher"], capabilities.Models!);
        Assert.True(capabilities.PromptTokenIds);
        Assert.Contains("\"max_tokens\":16", server.Requests.Single());
    }

    [Fact]
    public async Task ProbeAsync_BytesWithoutIds_IsOfTheMiddleGrade() =>
        Assert.Equal(TokenIdentity.Bytes, (await ProbeAsync(Logprobs("""{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}"""))).TokenIdentity);

    [Fact]
    public async Task ProbeAsync_TextIsEnough_WhereNoLogprobsAreAskedFor()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("46"));
        server.Models = null;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(TestTeacher.Sampling with { TopLogprobs = 0 }, TestTeacher.Token);

        Assert.Equal((TokenIdentity.Text, 0), (capabilities.TokenIdentity, capabilities.TopLogprobs));
        Assert.Null(capabilities.Models);
    }

    [Theory]
    [InlineData("""{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"a","logprob":-0.5}]}""", "by their text alone")]
    [InlineData("""{"token":"a","id":1,"logprob":-0.5,"top_logprobs":[]}""", "no alternatives")]
    [InlineData("""{"token":"a","id":1,"logprob":0,"top_logprobs":[{"id":1,"logprob":0},{"id":2,"logprob":-9999}]}""", "made-up")]
    [InlineData("""{"token":"a","id":1,"logprob":-0.1,"top_logprobs":[{"id":1,"logprob":-0.1},{"id":2,"logprob":-0.2}]}""", "add up to 1.7")]
    [InlineData("", "no token")]
    public async Task ProbeAsync_LogprobsThatAreNone_StopBeforeTheFirstRealRequest(string token, string expected)
    {
        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => ProbeAsync(Logprobs(token)));

        Assert.Contains(expected, error.Message);
        Assert.Contains("--top-logprobs 0", error.Message);
    }

    [Fact]
    public async Task ProbeAsync_NoLogprobs_SaysWhichServersHaveThem()
    {
        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => ProbeAsync(Replies.Json("""{"choices":[{"message":{"content":"46"}}]}""")));

        Assert.Contains("returned no logprobs; take a server that does (vLLM", error.Message);
    }

    [Fact]
    public async Task ProbeAsync_UnknownModel_ListsWhatTheEndpointOffers()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(404, "no such model", "model_not_found"));
        server.Models = ["small", "large"];
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token));

        Assert.Equal($"teacher at {server.Url} does not exist; this endpoint offers small, large: name one with --model", error.Message);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(422)]
    public async Task ProbeAsync_RequestCalledWrong_IsBadInputInTheServersWords(int status)
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ProbeAsync(Replies.Error(status, "temperature must be at most 2", "invalid_value")));

        Assert.EndsWith($"refused the request ({status}): temperature must be at most 2; change the setting that it objects to", error.Message);
    }

    [Fact]
    public async Task ProbeAsync_LogprobsRefused_IsTheTeachersLack()
    {
        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => ProbeAsync(Replies.Error(400, "top_logprobs must be at most 5", "invalid_value")));

        Assert.Contains("lower --top-logprobs", error.Message);
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
        using var teacher = new HttpTeacher(TestTeacher.Endpoint(url), new(), time, new RecordingObserver(), () => 0.99);

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() => teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token));

        Assert.Contains($"cannot reach teacher at {url}", error.Message);
        Assert.True(time.Delays.Sum(delay => delay.TotalSeconds) < 5);
    }

    [Theory]
    [InlineData(-0.7, -1.4, LogprobKind.Raw)]
    [InlineData(-0.72, -1.37, LogprobKind.Raw)]
    [InlineData(-0.4, -1.9, LogprobKind.Processed)]
    [InlineData(-0.7, -9999, LogprobKind.Processed)]
    public async Task ProbeAsync_UnderATemperature_SeesWhetherLogprobsFollowIt(double first, double second, LogprobKind expected)
    {
        // At temperature 1 the alternatives are at -0.7 and -1.4.
        await using var server = await ProtocolServer.StartAsync((context, request) =>
        {
            var (a, b) = request.Contains("\"temperature\":1,", StringComparison.Ordinal) ? (-0.7, -1.4) : (first, second);
            return Logprobs($$"""{"id":1,"logprob":{{a}},"top_logprobs":[{"id":1,"logprob":{{a}}},{"id":2,"logprob":{{b}}}]}""")(context, request);
        });
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var capabilities = await teacher.ProbeAsync(TestTeacher.Sampling with { Temperature = 0.5 }, TestTeacher.Token);

        Assert.Equal(expected, capabilities.Logprobs);
    }

    static Func<HttpContext, string, Task> Logprobs(string token) => Replies.Json(WireJson.WithLogprobs($$"""{"content":[{{token}}]}"""));

    static async Task<TeacherCapabilities> ProbeAsync(Func<HttpContext, string, Task> reply)
    {
        await using var server = await ProtocolServer.StartAsync(reply);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        return await teacher.ProbeAsync(TestTeacher.Sampling, TestTeacher.Token);
    }
}
