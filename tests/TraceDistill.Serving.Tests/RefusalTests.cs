using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Serving.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Serving.Tests;

public sealed class RefusalTests(RunningServer running) : IClassFixture<RunningServer>
{
    [Theory]
    [InlineData("""{"messages":[]}""", "messages")]
    [InlineData("""{"messages":[{"content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user","content":7}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":-1}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":"warm"}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"top_p":1.5}""", "top_p")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"min_p":0.1}""", "min_p")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"repetition_penalty":1.2}""", "repetition_penalty")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"n":0}""", "n")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stop":[""]}""", "stop")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":65}""", "top_logprobs")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"top_logprobs":5}""", "top_logprobs")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stream_options":{"include_usage":1}}""", "stream_options.include_usage")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"frequency_penalty":0.5}""", "frequency_penalty")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{}]}""", "tools")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":"json"}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":7}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":true}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":["text"]}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{}}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":null}}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":5}}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":["text"]}}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}}""", "response_format")]
    [InlineData(
        """{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{}}}""",
        "response_format"
    )]
    public async Task ChatField_Wrong_IsNamed(string body, string field)
    {
        var error = await RefusedAsync("v1/chat/completions", body, HttpStatusCode.BadRequest);

        Assert.Equal(field, error.GetProperty("param").GetString());
        Assert.Contains(field, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("""{}""", "prompt")]
    [InlineData("""{"prompt":[1,"x"]}""", "prompt")]
    [InlineData("""{"prompt":"x","logprobs":65}""", "logprobs")]
    [InlineData("""{"prompt":"x","best_of":2}""", "best_of")]
    [InlineData("""{"prompt":"x","response_format":{"type":"json_object"}}""", "response_format")]
    public async Task CompletionField_Wrong_IsNamed(string body, string field) =>
        Assert.Equal(field, (await RefusedAsync("v1/completions", body, HttpStatusCode.BadRequest)).GetProperty("param").GetString());

    [Theory]
    [InlineData("""{"prompt":[304]}""", "vocabulary")]
    [InlineData("""{"prompt":""}""", "no tokens")]
    [InlineData("""{"prompt":"x" """, "not JSON")]
    [InlineData("""[1]""", "JSON object")]
    [InlineData("""{"prompt":"\ud800"}""", "not Unicode")]
    [InlineData("""{"prompt":"x","\udc00":1}""", "not Unicode")]
    [InlineData("""{"prompt":"x","extra":{"deep":["\ud800x"]}}""", "not Unicode")]
    public async Task Request_ThatCannotBe_SaysWhy(string body, string reason) =>
        Assert.Contains(
            reason,
            (await RefusedAsync("v1/completions", body, HttpStatusCode.BadRequest)).GetProperty("message").GetString(),
            StringComparison.Ordinal
        );

    [Fact]
    public async Task Model_NotServed_IsToldTheOneThatIs()
    {
        var error = await RefusedAsync("v1/completions", """{"prompt":"x","model":"other"}""", HttpStatusCode.NotFound);

        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
        Assert.Contains("served: tiny", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Path_NotServed_IsToldInTheSameForm() =>
        Assert.Equal("not_found", (await RefusedAsync("v1/embeddings", "{}", HttpStatusCode.NotFound)).GetProperty("code").GetString());

    [Fact]
    public async Task Body_NotUtf8_IsRefused()
    {
        using var content = new ByteArrayContent([.. "{\"prompt\":\""u8, 0xFF, 0xFE, .. "\"}"u8]);
        content.Headers.ContentType = new("application/json");
        using var response = await running.Client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Method_Wrong_Is405WithTheOneThatIsRight()
    {
        using var response = await running.Client.GetAsync(
            new Uri("v1/completions", UriKind.Relative),
            TestContext.Current.CancellationToken
        );
        using var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(["POST"], response.Content.Headers.Allow);
        Assert.Equal("not_found", error.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Body_TooLarge_Is413()
    {
        await using var server = await running.StartAsync(options => options with { MaxRequestMegabytes = 1 });
        using var client = new HttpClient { BaseAddress = server.Endpoint };
        using var content = new StringContent(new string(' ', 2 << 20), Encoding.UTF8, "application/json");
        using var response = await client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        using var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal("request_too_large", error.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Body_Of5Mebibytes_IsTooLargeByDefault()
    {
        using var content = new StringContent(new string(' ', 5 << 20), Encoding.UTF8, "application/json");
        using var response = await running.Client.PostAsync(
            new Uri("tokenize", UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    [Fact(Timeout = 60_000)]
    public async Task Bodies_MoreThanTheServerHolds_Are429UntilTheOthersAreGone()
    {
        await using var server = await running.StartAsync(options => options with { MaxRequestMegabytes = 1, MaxBodiesMegabytes = 1 });
        using var client = new HttpClient { BaseAddress = server.Endpoint };
        var large = new JsonObject
        {
            ["prompt"] = "x",
            ["padding"] = new string('x', 700 << 10),
            ["max_tokens"] = 19_000,
            ["ignore_eos"] = true,
            ["stream"] = true,
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = Json(large) };
        var first = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);

        large["max_tokens"] = 1;
        using var refused = await client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            Json(large),
            TestContext.Current.CancellationToken
        );
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        using var small = await client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            Json(new JsonObject { ["prompt"] = "x", ["max_tokens"] = 1 }),
            TestContext.Current.CancellationToken
        );
        Assert.Equal(HttpStatusCode.OK, small.StatusCode);

        first.Dispose();
        HttpResponseMessage accepted;
        do
        {
            accepted = await client.PostAsync(
                new Uri("v1/completions", UriKind.Relative),
                Json(large),
                TestContext.Current.CancellationToken
            );
        } while (accepted.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
    }

    [Theory]
    [InlineData("evil.example", HttpStatusCode.Forbidden)]
    [InlineData("evil.example:8080", HttpStatusCode.Forbidden)]
    [InlineData("localhost.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("192.0.2.7", HttpStatusCode.Forbidden)]
    [InlineData("localhost", HttpStatusCode.OK)]
    [InlineData("LocalHost:1234", HttpStatusCode.OK)]
    [InlineData("127.0.0.1:80", HttpStatusCode.OK)]
    [InlineData("[::1]:80", HttpStatusCode.OK)]
    public async Task Host_OfAServerWithoutAKey_IsALocalOne(string host, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.Host = host;
        using var response = await running.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(expected, response.StatusCode);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("multipart/form-data")]
    [InlineData(null)]
    public async Task Body_NotSaidToBeJson_Is415(string? type)
    {
        using var content = new StringContent("""{"prompt":"x","max_tokens":1}""");
        content.Headers.ContentType = type is null ? null : new(type);
        using var response = await running.Client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Contains(
            "application/json",
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task ResponseFormat_TextOrNull_IsWhatThereIs()
    {
        foreach (
            var format in new JsonNode?[]
            {
                null,
                new JsonObject { ["type"] = "text" },
            }
        )
        {
            using var response = await running.SendAsync(
                "v1/chat/completions",
                RunningServer.Chat(1, body => body["response_format"] = format?.DeepClone())
            );

            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task Queue_Full_Is429WithRetryAfterUntilTheOthersAreGone()
    {
        await using var server = await running.StartAsync(options => options with { MaxConcurrent = 1, QueueLength = 0 });
        using var client = new HttpClient { BaseAddress = server.Endpoint };
        var endless = new JsonObject
        {
            ["prompt"] = "x",
            ["max_tokens"] = 19_000,
            ["ignore_eos"] = true,
            ["stream"] = true,
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = Json(endless) };
        var first = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);

        using var refused = await client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            Json(new JsonObject { ["prompt"] = "x" }),
            TestContext.Current.CancellationToken
        );
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());

        first.Dispose(); // The client goes away: its sequence is dropped and the place is free.
        HttpResponseMessage accepted;
        do
        {
            accepted = await client.PostAsync(
                new Uri("v1/completions", UriKind.Relative),
                Json(new JsonObject { ["prompt"] = "x" }),
                TestContext.Current.CancellationToken
            );
        } while (accepted.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
        Assert.True(server.Counters.GeneratedTokens < 19_000);
        while (
            !(await client.GetStringAsync(new Uri("metrics", UriKind.Relative), TestContext.Current.CancellationToken)).Contains(
                "tracedistill_requests_total{path=\"/v1/completions\",status=\"499\"} 1\n",
                StringComparison.Ordinal
            )
        )
        {
            // Counted a moment after its place is free.
        }
    }

    [Fact]
    public async Task Sequences_MoreThanTheServerTakes_AreRefusedForGood()
    {
        await using var server = await running.StartAsync(options => options with { MaxConcurrent = 1, QueueLength = 1 });
        using var client = new HttpClient { BaseAddress = server.Endpoint };
        using var response = await client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            Json(new JsonObject { ["prompt"] = "x", ["n"] = 3 }),
            TestContext.Current.CancellationToken
        );

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task ApiKey_Set_IsAskedForEverywhereButHealth()
    {
        const string Variable = "TRACEDISTILL_TEST_SERVER_KEY";
        Environment.SetEnvironmentVariable(Variable, "correct horse");
        await using var server = await running.StartAsync(options => options with { ApiKeyEnv = Variable, Host = "0.0.0.0" });
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{server.Endpoint.Port}") };
        async Task<HttpStatusCode> GetAsync(string path, string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Authorization = key == null ? null : new("Bearer", key);
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            return response.StatusCode;
        }

        Assert.Equal(HttpStatusCode.Unauthorized, await GetAsync("v1/models", null));
        Assert.Equal(HttpStatusCode.Unauthorized, await GetAsync("v1/models", "wrong"));
        Assert.Equal(HttpStatusCode.OK, await GetAsync("v1/models", "correct horse"));
        Assert.Equal(HttpStatusCode.OK, await GetAsync("health", null));
    }

    [Fact]
    public async Task Start_SettingsThatCannotBe_AreAllTold()
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            running.StartAsync(options => options with { Host = "0.0.0.0", MaxConcurrent = 0, Port = 70_000 })
        );

        Assert.All(["api_key_env", "max_concurrent", "port"], name => Assert.Contains(name, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_HostThatIsNoAddress_IsToldWithTheRest()
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            running.StartAsync(options => options with { Host = "my machine", QueueLength = -1 })
        );

        Assert.All(["host", "queue_length"], name => Assert.Contains(name, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_KeyVariableNotSet_SaysSo() =>
        await Assert.ThrowsAsync<InvalidInputException>(() =>
            running.StartAsync(options => options with { ApiKeyEnv = "TRACEDISTILL_TEST_NO_SUCH_KEY" })
        );

    [Fact]
    public async Task Start_PortTaken_IsAnOutsideFailure()
    {
        var error = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            running.StartAsync(options => options with { Port = running.Server.Endpoint.Port })
        );
        Assert.EndsWith(
            "address already in use; choose another port, or 0 for a free one, and an address of this machine",
            error.Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Start_AddressOfAnotherMachine_IsAnOutsideFailure()
    {
        const string Variable = "TRACEDISTILL_TEST_ELSEWHERE_KEY";
        Environment.SetEnvironmentVariable(Variable, "key");

        // A block reserved for documentation (RFC 5737): no machine has it.
        var error = await Assert.ThrowsAsync<ExternalFailureException>(() =>
            running.StartAsync(options => options with { ApiKeyEnv = Variable, Host = "192.0.2.1" })
        );
        Assert.Contains("192.0.2.1", error.Message, StringComparison.Ordinal);
    }

    async Task<JsonElement> RefusedAsync(string path, string body, HttpStatusCode status)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await running.Client.PostAsync(
            new Uri(path, UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == status, $"{response.StatusCode}: {text}");
        return JsonDocument.Parse(text).RootElement.GetProperty("error");
    }

    static StringContent Json(JsonObject body) => new(body.ToJsonString(), Encoding.UTF8, "application/json");
}
