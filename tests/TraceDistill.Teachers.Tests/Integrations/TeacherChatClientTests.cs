using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Integrations;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.TestServer.Forms;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

namespace TraceDistill.Teachers.Tests.Integrations;

/// <summary>The chat client as a program on Microsoft.Extensions.AI uses it.</summary>
public sealed class TeacherChatClientTests
{
    public static TheoryData<string> StreamingForms => [.. WireForms.All.OfType<StreamingForm>().Select(form => form.Name)];

    [Fact]
    public async Task GetResponseAsync_ReturnsReasoningAnswerUsageFinishReasonAndLogprobs()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("<think>12 and 34</think> 46"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var response = await teacher.AsChatClient().GetResponseAsync("What is 12 + 34?", WithLogprobs(3), TestTeacher.Token);

        Assert.Equal("46", response.Text);
        Assert.Equal("12 and 34", response.Messages.Single().Contents.OfType<TextReasoningContent>().Single().Text);
        Assert.Equal((ChatRole.Assistant, ChatFinishReason.Stop), (response.Messages.Single().Role, response.FinishReason));

        // A token a character, and the end.
        Assert.Equal((2, 28, 30), (response.Usage!.InputTokenCount, response.Usage.OutputTokenCount, response.Usage.TotalTokenCount));
        var logprobs = Assert.IsType<TokenLogprobs>(response.AdditionalProperties![ReplyMetadata.Logprobs]);
        Assert.Equal([.. "<think>12 and 34</think> 46".Select(c => (int)c), WireJson.EndOfSequence], logprobs.TokenIds);
        Assert.Equal(3, logprobs.K);
        Assert.Equal("12 and 34", Assert.IsType<GenerationResult>(response.RawRepresentation).Reasoning);
    }

    [Fact]
    public async Task GetResponseAsync_EveryOption_IsAFieldOfTheRequest()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("ok"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        var options = new ChatOptions
        {
            Instructions = "Be brief.",
            Temperature = 0.7f,
            TopP = 0.9f,
            TopK = 40,
            MaxOutputTokens = 64,
            Seed = 7,
            PresencePenalty = 0.25f,
            FrequencyPenalty = 0.5f,
            StopSequences = ["END"],
            ModelId = "teacher",
            ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse("""{"type":"object"}"""), "sum"),
            Reasoning = new ReasoningOptions { Effort = ReasoningEffort.High },
            AdditionalProperties = new() { ["chat_template_kwargs"] = new { enable_thinking = false } },
        };

        await teacher
            .AsChatClient()
            .GetResponseAsync([new(ChatRole.System, "Add."), new(ChatRole.User, "1 + 2")], options, TestTeacher.Token);

        using var request = JsonDocument.Parse(server.Requests.Single());
        var root = request.RootElement;
        Assert.Equal(
            ["system: Be brief.", "system: Add.", "user: 1 + 2"],
            root.GetProperty("messages").EnumerateArray().Select(turn => $"{turn.GetProperty("role")}: {turn.GetProperty("content")}")
        );

        // As they were written, not as float32 has them.
        Assert.Equal(
            (0.7, 0.9, 40, 64, 7),
            (
                root.GetProperty("temperature").GetDouble(),
                root.GetProperty("top_p").GetDouble(),
                root.GetProperty("top_k").GetInt32(),
                root.GetProperty("max_tokens").GetInt32(),
                root.GetProperty("seed").GetInt32()
            )
        );
        Assert.Equal(
            (0.25, 0.5, "END"),
            (
                root.GetProperty("presence_penalty").GetDouble(),
                root.GetProperty("frequency_penalty").GetDouble(),
                root.GetProperty("stop")[0].GetString()
            )
        );
        Assert.Equal(
            """{"json_schema":{"description":null,"name":"sum","schema":{"type":"object"}},"type":"json_schema"}""",
            root.GetProperty("response_format").GetRawText()
        );
        Assert.Equal("high", root.GetProperty("reasoning_effort").GetString());
        Assert.False(root.GetProperty("chat_template_kwargs").GetProperty("enable_thinking").GetBoolean());
    }

    [Fact]
    public async Task GetResponseAsync_SamplingSettingsAsRawRepresentation_AreTheDefaultsOfTheRequest()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("ok"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        var options = new ChatOptions
        {
            RawRepresentationFactory = _ => new SamplingSettings
            {
                Temperature = 0.5,
                MaxTokens = 9,
                TopLogprobs = 2,
            },
            MaxOutputTokens = 8,
        };

        var response = await teacher.AsChatClient().GetResponseAsync("?", options, TestTeacher.Token);

        using var request = JsonDocument.Parse(server.Requests.Single());
        Assert.Equal(
            (0.5, 8),
            (request.RootElement.GetProperty("temperature").GetDouble(), request.RootElement.GetProperty("max_tokens").GetInt32())
        );
        Assert.Equal(2, ((TokenLogprobs)response.AdditionalProperties![ReplyMetadata.Logprobs]!).K);
    }

    [Fact]
    public async Task GetResponseAsync_StructuredOutput_IsDeserialised()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("""<think>12 + 34</think>{"value":46}"""));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var response = await teacher.AsChatClient().GetResponseAsync<Total>("What is 12 + 34?", cancellationToken: TestTeacher.Token);

        Assert.Equal(46, response.Result.Value);
        Assert.Contains("\"json_schema\"", server.Requests.Single());
    }

    [Theory]
    [InlineData("stop", "stop")]
    [InlineData("eos_token", "stop")]
    [InlineData("max_tokens", "length")]
    [InlineData("content_filter", "content_filter")]
    [InlineData("abort", "abort")]
    public async Task GetResponseAsync_FinishReason_IsTheFrameworksWordOrTheServers(string said, string expected)
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Json($$"""{"choices":[{"message":{"content":"a"},"finish_reason":"{{said}}"}]}""")
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var response = await teacher.AsChatClient().GetResponseAsync("?", cancellationToken: TestTeacher.Token);

        Assert.Equal((expected, said), (response.FinishReason!.Value.Value, response.AdditionalProperties![ReplyMetadata.FinishReason]));
    }

    [Fact]
    public async Task GetResponseAsync_ModelCallsTools_TellsThem()
    {
        const string Calls = """[{"id":"c1","type":"function","function":{"name":"add","arguments":"{}"}}]""";
        await using var server = await ProtocolServer.StartAsync(
            Replies.Json($$"""{"choices":[{"message":{"content":null,"tool_calls":{{Calls}}},"finish_reason":"tool_calls"}]}""")
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var response = await teacher.AsChatClient().GetResponseAsync("?", cancellationToken: TestTeacher.Token);

        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
        using var calls = JsonDocument.Parse((string)response.AdditionalProperties![ReplyMetadata.ToolCalls]!);
        Assert.Equal("add", calls.RootElement[0].GetProperty("function").GetProperty("name").GetString());
    }

    /// <summary>The pieces make up the whole, with servers that tell the reasoning apart and with those that leave its marks.</summary>
    [Theory]
    [MemberData(nameof(StreamingForms))]
    public async Task GetStreamingResponseAsync_Pieces_MakeUpTheWholeResponse(string form)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(WireForms.Named(form)));
        server.Form = WireForms.Named(form);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        var client = teacher.AsChatClient();

        // The second phrasing has characters of several tokens.
        foreach (var seed in Enumerable.Range(1, 4))
        {
            var options = new ChatOptions { Seed = seed, MaxOutputTokens = 100 };
            var whole = await client.GetResponseAsync("What is 12 + 30?", options, TestTeacher.Token);
            var updates = await client
                .GetStreamingResponseAsync("What is 12 + 30?", options, TestTeacher.Token)
                .ToListAsync(TestTeacher.Token);
            var streamed = updates.ToChatResponse();

            Assert.InRange(updates.Count, 4, 100);
            Assert.Equal("42", streamed.Text);
            Assert.Equal(ReasoningOf(whole), ReasoningOf(streamed));
            Assert.Equal(
                (whole.FinishReason, whole.ModelId, whole.Usage!.InputTokenCount, whole.Usage.OutputTokenCount),
                (streamed.FinishReason, streamed.ModelId, streamed.Usage!.InputTokenCount, streamed.Usage.OutputTokenCount)
            );
            Assert.Single(updates.Select(update => update.ResponseId).Distinct());
            Assert.Equal("42", Assert.IsType<GenerationResult>(updates[^1].RawRepresentation).Answer);
        }
    }

    [Fact]
    public async Task GetStreamingResponseAsync_Logprobs_ComeWithTheLastPiece()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(WireForms.Vllm));
        server.Form = WireForms.Vllm;
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var updates = await teacher
            .AsChatClient()
            .GetStreamingResponseAsync("What is 12 + 30?", WithLogprobs(3), TestTeacher.Token)
            .ToListAsync(TestTeacher.Token);

        Assert.Equal(3, Assert.IsType<TokenLogprobs>(updates[^1].AdditionalProperties![ReplyMetadata.Logprobs]).K);
        Assert.All(updates.SkipLast(1), update => Assert.Null(update.AdditionalProperties));
    }

    [Fact]
    public async Task GetStreamingResponseAsync_ServerThatAnswersAsAWhole_StillGivesItsText()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("<think>a</think> b"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var response = await teacher
            .AsChatClient()
            .GetStreamingResponseAsync("?", cancellationToken: TestTeacher.Token)
            .ToChatResponseAsync(TestTeacher.Token);

        Assert.Equal(("a", "b"), (ReasoningOf(response), response.Text));
    }

    [Fact]
    public async Task GetStreamingResponseAsync_CancelledWhileItComes_EndsTheRequestAndIsNoFailure()
    {
        var ended = new TaskCompletionSource();
        await using var server = await ProtocolServer.StartAsync(
            async (context, _) =>
            {
                context.Response.ContentType = "text/event-stream";
                await context.Response.WriteAsync("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
                await context.Response.Body.FlushAsync();
                await Replies.Stall(context, "");
                ended.SetResult();
            }
        );
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        using var stop = new CancellationTokenSource();
        var texts = new List<string>();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in teacher.AsChatClient().GetStreamingResponseAsync("?", cancellationToken: stop.Token))
            {
                texts.Add(update.Text);
                await stop.CancelAsync();
            }
        });

        await ended.Task.WaitAsync(TestTeacher.Token);
        Assert.Equal(["a"], texts);
    }

    [Fact]
    public async Task GetResponseAsync_ServerFails_IsAnHttpRequestExceptionWithItsStatus()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(500, "engine is dead"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), new ResilienceOptions { MaxRetries = 1 });

        var error = await Assert.ThrowsAsync<HttpRequestException>(() =>
            teacher.AsChatClient().GetResponseAsync("?", cancellationToken: TestTeacher.Token)
        );

        Assert.Equal(HttpStatusCode.InternalServerError, error.StatusCode);
        Assert.Equal($"teacher at {server.Url} failed (500): engine is dead", error.Message);
        Assert.IsType<ExternalFailureException>(error.InnerException);
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task GetResponseAsync_NobodyListens_IsAConnectionError()
    {
        var server = await ProtocolServer.StartAsync();
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), new ResilienceOptions { MaxRetries = 0 });
        await server.DisposeAsync();

        var error = await Assert.ThrowsAsync<HttpRequestException>(() =>
            teacher.AsChatClient().GetResponseAsync("?", cancellationToken: TestTeacher.Token)
        );

        Assert.Equal((HttpRequestError.ConnectionError, null), (error.HttpRequestError, error.StatusCode));
    }

    [Fact]
    public async Task GetResponseAsync_Cancelled_IsNoFailure()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Stall);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        using var stop = new CancellationTokenSource();
        var pending = teacher.AsChatClient().GetResponseAsync("?", cancellationToken: stop.Token);
        await server.RequestArrivedAsync(TestTeacher.Token);

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
    }

    [Fact]
    public async Task GetResponseAsync_WhatCannotBeSent_IsNotSupportedAndNothingIsSent()
    {
        await using var server = await ProtocolServer.StartAsync();
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        var client = teacher.AsChatClient();
        ChatMessage image = new(ChatRole.User, [new TextContent("What is this?"), new UriContent("http://localhost/cat.png", "image/png")]);

        var ofImage = await Assert.ThrowsAsync<NotSupportedException>(() =>
            client.GetResponseAsync(image, cancellationToken: TestTeacher.Token)
        );
        var ofTools = await Assert.ThrowsAsync<NotSupportedException>(() =>
            client.GetResponseAsync("?", new ChatOptions { Tools = [AIFunctionFactory.Create(() => "noon", "now")] }, TestTeacher.Token)
        );
        var ofModel = await Assert.ThrowsAsync<NotSupportedException>(() =>
            client.GetResponseAsync("?", new ChatOptions { ModelId = "another" }, TestTeacher.Token)
        );

        Assert.Contains("UriContent", ofImage.Message);
        Assert.Contains("tools", ofTools.Message);
        Assert.Contains("another", ofModel.Message);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task GetResponseAsync_EarlierReply_GoesBackWithoutItsReasoning()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("<think>1 + 2</think>3"), Replies.Completion("ok"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        var client = teacher.AsChatClient();
        List<ChatMessage> chat = [new(ChatRole.User, "1 + 2?")];

        chat.AddMessages(await client.GetResponseAsync(chat, cancellationToken: TestTeacher.Token));
        chat.Add(new ChatMessage(ChatRole.User, "Sure?"));
        await client.GetResponseAsync(chat, cancellationToken: TestTeacher.Token);

        using var request = JsonDocument.Parse(server.Requests.Last());
        Assert.Equal(
            ["1 + 2?", "3", "Sure?"],
            request.RootElement.GetProperty("messages").EnumerateArray().Select(turn => turn.GetProperty("content").GetString()!)
        );
    }

    [Fact]
    public async Task AsChatClient_InAPipelineOfDecorators_TellsMetadataAndTheTeacherBehindIt()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("ok"));
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());
        using var client = teacher
            .AsChatClient()
            .AsBuilder()
            .ConfigureOptions(options => options.Temperature = 0)
            .UseOpenTelemetry()
            .Build();

        var response = await client.GetResponseAsync("?", cancellationToken: TestTeacher.Token);
        client.Dispose();
        var after = await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);

        Assert.Equal(("ok", "ok"), (response.Text, after.Answer));
        Assert.Contains("\"temperature\":0,", server.Requests.First());
        var metadata = client.GetService<ChatClientMetadata>()!;
        Assert.Equal(
            ("TraceDistill", server.Url + "/", "teacher"),
            (metadata.ProviderName, metadata.ProviderUri!.ToString(), metadata.DefaultModelId)
        );
        Assert.Same(teacher, client.GetService<TeacherPool>());
    }

    static ChatOptions WithLogprobs(int top) =>
        new()
        {
            MaxOutputTokens = 100,
            AdditionalProperties = new() { ["logprobs"] = true, ["top_logprobs"] = top },
        };

    static string ReasoningOf(ChatResponse response) =>
        string.Concat(response.Messages.SelectMany(message => message.Contents).OfType<TextReasoningContent>());

    sealed record Total(int Value);
}
