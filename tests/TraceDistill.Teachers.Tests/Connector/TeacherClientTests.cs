using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Teachers.Tests.Connector;

public sealed class TeacherClientTests
{
    const string Key = "sk-secret-123";
    static readonly SamplingSettings Sampling = new()
    {
        Temperature = 0.7,
        TopP = 0.9,
        MaxTokens = 64,
        Seed = 11,
        TopLogprobs = 3,
    };
    static readonly ChatMessage[] Messages = [new("system", "S"), new("user", "What is \"1 < 2\"?")];

    [Fact]
    public async Task CompleteAsync_SendsTheRequestAndReadsTheReply()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("<think>a</think>b"));
        using var http = new HttpClient();

        var result = await Client(http, server).CompleteAsync(Messages, Sampling, new AnswerProgress(() => { }), Token);

        Assert.Equal("b", result.Answer);
        Assert.Equal(3, result.Logprobs!.K);
        Assert.Equal($"Bearer {Key}", server.Keys.Single());
        using var request = JsonDocument.Parse(server.Requests.Single());
        var root = request.RootElement;
        Assert.Equal("teacher", root.GetProperty("model").GetString());
        Assert.Equal(["system", "user"], root.GetProperty("messages").EnumerateArray().Select(m => m.GetProperty("role").GetString()!));
        Assert.Equal("What is \"1 < 2\"?", root.GetProperty("messages")[1].GetProperty("content").GetString());
        Assert.Equal(0.7, root.GetProperty("temperature").GetDouble());
        Assert.Equal(0.9, root.GetProperty("top_p").GetDouble());
        Assert.Equal(64, root.GetProperty("max_tokens").GetInt32());
        Assert.Equal(11, root.GetProperty("seed").GetInt64());
        Assert.True(root.GetProperty("logprobs").GetBoolean());
        Assert.Equal(3, root.GetProperty("top_logprobs").GetInt32());
        Assert.True(root.GetProperty("return_token_ids").GetBoolean());
        Assert.False(root.TryGetProperty("n", out _));
    }

    [Fact]
    public async Task CompleteAsync_ServerRefusesTokenIds_AsksWithoutThemFromThenOn()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Error(400, "Unrecognized request argument supplied: return_token_ids"),
            Replies.Completion("ok")
        );
        using var http = new HttpClient();
        var client = Client(http, server);

        await client.CompleteAsync(Messages, Sampling, Token);
        await client.CompleteAsync(Messages, Sampling, Token);

        Assert.Equal(
            [true, false, false],
            server.Requests.Select(request => request.Contains("return_token_ids", StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData(401, "error", "Incorrect API key: sk-secret-123", FailureScope.Teacher, "TEACHER_KEY")]
    [InlineData(403, "error", "forbidden", FailureScope.Teacher, "refused the key (403)")]
    [InlineData(402, "error", "Insufficient Balance", FailureScope.Teacher, "no credit")]
    [InlineData(404, "model_not_found", "no such model", FailureScope.Teacher, "/v1/models")]
    [InlineData(400, "error", "This model's maximum context length is 4096 tokens", FailureScope.Request, "maximum context length")]
    [InlineData(400, "error", "top_logprobs must be at most 5", FailureScope.Teacher, "--top-logprobs")]
    [InlineData(408, "error", "slow", FailureScope.Passing, "(408)")]
    [InlineData(429, "error", "slow down", FailureScope.Passing, "too much to do (429)")]
    [InlineData(429, "insufficient_quota", "pay", FailureScope.Teacher, "no credit")]
    [InlineData(500, "error", "key sk-secret-123 crashed", FailureScope.Passing, "key [key] crashed")]
    [InlineData(503, "error", "loading", FailureScope.Passing, "(503): loading")]
    public async Task CompleteAsync_ErrorStatus_SaysWhatItMeansAndKeepsTheKeyOut(
        int status,
        string code,
        string says,
        object scope,
        string expected
    )
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(status, says, code));

        var error = await FailAsync(server);

        Assert.Equal(scope, error.Scope);
        Assert.Contains(expected, error.Message);
        Assert.Contains($"teacher at {server.Url}", error.Message);
        Assert.DoesNotContain(Key, error.Message);
    }

    [Fact]
    public async Task CompleteAsync_ErrorUnderStatus200_IsReadAsItsOwnCode()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Json("""{"error":{"message":"upstream overloaded","code":429}}""")
        );

        var error = await FailAsync(server);

        Assert.Equal((FailureScope.Passing, 429), (error.Scope, error.Status));
    }

    /// <summary>vLLM's older form, SiliconFlow's, Zhipu's, MiniMax's and FastAPI's.</summary>
    [Theory]
    [InlineData(
        """{"object":"error","message":"Engine is dead","type":"InternalServerError","code":500}""",
        "Engine is dead",
        FailureScope.Passing
    )]
    [InlineData(
        """{"object":"error","message":"maximum context length is 32","code":400}""",
        "maximum context length is 32",
        FailureScope.Request
    )]
    [InlineData("""{"code":50505,"message":"Model service overloaded","data":null}""", "Model service overloaded", FailureScope.Passing)]
    [InlineData("""{"success":false,"code":500,"msg":"no backend"}""", "no backend", FailureScope.Passing)]
    [InlineData("""{"choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit"}}""", "rate limit", FailureScope.Passing)]
    [InlineData("""{"choices":[],"detail":"worker died"}""", "worker died", FailureScope.Passing)]
    public async Task CompleteAsync_WordsInPlaceOfChoicesUnderStatus200_AreTheFailuresWords(string body, string words, object scope)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Json(body));

        var error = await FailAsync(server);

        Assert.Equal(scope, error.Scope);
        Assert.Contains(words, error.Message);
    }

    [Theory]
    [InlineData(
        403,
        """{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged","metadata":{"reasons":["violence"],"flagged_input":"...","provider_name":"p"}}}"""
    )]
    [InlineData(200, """{"error":{"code":403,"message":"Input was flagged","metadata":{"reasons":["violence"]}}}""")]
    [InlineData(
        400,
        """{"error":{"message":"The response was filtered due to the prompt","type":null,"param":"prompt","code":"content_filter","status":400}}"""
    )]
    public async Task CompleteAsync_PromptThatAFilterRefuses_IsALabelledRefusal(int status, string body)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(status, body: body));
        using var http = new HttpClient();

        var result = await Client(http, server).CompleteAsync(Messages, Sampling, Token);

        Assert.Equal(("content_filter", ""), (result.FinishReason, result.Text));
        Assert.Null(result.Logprobs);
    }

    [Theory]
    [InlineData(
        """{"detail":[{"loc":["body","seed"],"msg":"Input should be an integer","input":"What is 1?"}]}""",
        "Input should be an integer",
        "What is 1?"
    )]
    [InlineData("<html><body>Bad gateway</body></html>", "(422)", "html")]
    [InlineData("""{"error":{"message":"evil \u001b[2J\u0007\n text\u202e"}}""", "evil [2J text", "\e")]
    public async Task CompleteAsync_ErrorInAnotherForm_TakesItsWordsAndNoPromptText(string body, string expected, string absent)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(422, body: body));

        var error = await FailAsync(server);

        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain(absent, error.Message);
    }

    [Fact]
    public async Task CompleteAsync_ConnectionCut_IsPassing()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Reset, Replies.CutShort, Replies.Json("{\"choices\":[{\"mess"));

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(FailureScope.Passing, (await FailAsync(server)).Scope);
        }
    }

    [Fact]
    public async Task CompleteAsync_NobodyListens_IsPassingAndNamesTheAddress()
    {
        var server = await ProtocolServer.StartAsync();
        var url = server.Url;
        await server.DisposeAsync();
        using var http = new HttpClient();

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() => Client(http, url).CompleteAsync(Messages, Sampling, Token));

        Assert.Equal(FailureScope.Passing, error.Scope);
        Assert.Contains($"cannot reach teacher at {url}", error.Message);
    }

    [Theory]
    [InlineData("Wed, 01 Jan 2020 00:01:00 GMT", 60)]
    [InlineData("7", 7)]
    [InlineData("Tue, 01 Jan 2019 00:00:00 GMT", 0)]
    public async Task CompleteAsync_RetryAfter_IsReadInBothForms(string header, int seconds)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(429, header));
        using var http = new HttpClient();
        var client = new TeacherClient(http, Endpoint(server.Url, Key), new VirtualTime());

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() => client.CompleteAsync(Messages, Sampling, Token));

        Assert.Equal(TimeSpan.FromSeconds(seconds), error.RetryAfter);
    }

    [Fact]
    public async Task CompleteAsync_Cancelled_IsNoFailure()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Stall);
        using var http = new HttpClient();
        using var stop = new CancellationTokenSource();
        var pending = Client(http, server).CompleteAsync(Messages, Sampling, stop.Token);
        await server.RequestArrivedAsync(Token);

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
    }

    [Fact]
    public async Task ListModelsAsync_GivesNamesOrNullWhereThereIsNoList()
    {
        await using var server = await ProtocolServer.StartAsync();
        using var http = new HttpClient();

        server.Models = ["a", "b"];
        Assert.Equal(["a", "b"], (await Client(http, server).ListModelsAsync(Token))!);
        server.Models = null;
        Assert.Null(await Client(http, server).ListModelsAsync(Token));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task ListModelsAsync_KeyForCompletionsAlone_IsNoList(int status)
    {
        await using var server = await SecureServer.StartAsync(context =>
            Replies.Error(status, "You have insufficient permissions for this operation")(context, "")
        );
        using var handler = TeacherHttpHandler.Create(1);
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=127.0.0.1";
        using var http = TeacherHttpHandler.CreateClient(handler);

        Assert.Null(await Client(http, server.Url).ListModelsAsync(Token));
    }

    static CancellationToken Token => TestContext.Current.CancellationToken;

    static TeacherEndpoint Endpoint(string url, string? key) =>
        TeacherEndpoint.Create(
            new EndpointSettings
            {
                Url = url,
                Model = "teacher",
                ApiKeyEnv = key is null ? null : "TEACHER_KEY",
            },
            name => name == "TEACHER_KEY" ? key : null
        );

    static TeacherClient Client(HttpClient http, ProtocolServer server) => Client(http, server.Url);

    static TeacherClient Client(HttpClient http, string url) => new(http, Endpoint(url, Key), TimeProvider.System);

    static async Task<TeacherRequestException> FailAsync(ProtocolServer server)
    {
        using var http = new HttpClient();
        return await Assert.ThrowsAsync<TeacherRequestException>(() => Client(http, server).CompleteAsync(Messages, Sampling, Token));
    }
}
