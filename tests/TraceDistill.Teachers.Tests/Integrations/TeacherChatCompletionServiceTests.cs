using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Microsoft.SemanticKernel.Services;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Integrations;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Integrations;

/// <summary>The chat service as a program that knows nothing else of this project uses it.</summary>
public sealed class TeacherChatCompletionServiceTests
{
    const string Key = "sk-kernel-secret-42";

    [Fact]
    public async Task InvokePromptAsync_PromptFunctionWithStandardSettings_AnswersWithReasoningLogprobsAndUsage()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("<think>12 and 34</think> 46"));
        var kernel = Build(server);
        var settings = new PromptExecutionSettings
        {
            ExtensionData = new Dictionary<string, object>
            {
                ["temperature"] = 0.5,
                ["top_p"] = 0.9,
                ["max_tokens"] = 64,
                ["seed"] = 7,
                ["logprobs"] = true,
                ["top_logprobs"] = 3,
                ["stop"] = new[] { "END" },
                ["presence_penalty"] = 0.25,
            },
        };

        var function = kernel.CreateFunctionFromPrompt("What is {{$a}} + {{$b}}?", settings);
        var answer = await kernel.InvokeAsync(function, new KernelArguments { ["a"] = 12, ["b"] = 34 }, TestTeacher.Token);

        Assert.Equal("46", answer.GetValue<string>());
        var message = answer.GetValue<ChatMessageContent>()!;
        var result = Assert.IsType<GenerationResult>(message.InnerContent);
        Assert.Equal(("12 and 34", 3), (result.Reasoning, result.Logprobs!.K));
        Assert.Equal("12 and 34", message.Metadata![ReplyMetadata.Reasoning]);
        Assert.Same(result.Logprobs, message.Metadata[ReplyMetadata.Logprobs]);
        Assert.Equal("stop", message.Metadata[ReplyMetadata.FinishReason]);
        var usage = Assert.IsType<Microsoft.Extensions.AI.UsageDetails>(message.Metadata[ReplyMetadata.Usage]);
        Assert.Equal((2, result.Logprobs.Count), (usage.InputTokenCount, usage.OutputTokenCount));

        using var request = JsonDocument.Parse(server.Requests.Single());
        var root = request.RootElement;
        Assert.Equal("What is 12 + 34?", root.GetProperty("messages")[0].GetProperty("content").GetString());
        Assert.Equal(
            (0.5, 0.9, 64, 7, 3),
            (
                root.GetProperty("temperature").GetDouble(),
                root.GetProperty("top_p").GetDouble(),
                root.GetProperty("max_tokens").GetInt32(),
                root.GetProperty("seed").GetInt32(),
                root.GetProperty("top_logprobs").GetInt32()
            )
        );
        Assert.Equal("END", root.GetProperty("stop")[0].GetString());
        Assert.Equal(0.25, root.GetProperty("presence_penalty").GetDouble());
        Assert.Equal($"Bearer {Key}", server.Keys.Single());
    }

    [Fact]
    public async Task GetChatMessageContents_SettingsOfAPromptFile_AreReadFromText()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("ok"));
        var settings = JsonSerializer.Deserialize<PromptExecutionSettings>(
            """{"service_id":"teacher","temperature":"0.25","max_tokens":9,"logprobs":true,"chat_template_kwargs":{"enable_thinking":false}}"""
        );

        await Build(server, "teacher")
            .GetRequiredService<IChatCompletionService>("teacher")
            .GetChatMessageContentsAsync([new(AuthorRole.User, "?")], settings, cancellationToken: TestTeacher.Token);

        using var request = JsonDocument.Parse(server.Requests.Single());
        Assert.Equal(
            (0.25, 1),
            (request.RootElement.GetProperty("temperature").GetDouble(), request.RootElement.GetProperty("top_logprobs").GetInt32())
        );
        Assert.False(request.RootElement.GetProperty("chat_template_kwargs").GetProperty("enable_thinking").GetBoolean());
        Assert.False(request.RootElement.TryGetProperty("service_id", out _));
    }

    [Fact]
    public async Task GetStreamingChatMessageContents_GivesPiecesAndTheWholeReplyAtTheEnd()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(TestServer.Forms.WireForms.Vllm));
        server.Form = TestServer.Forms.WireForms.Vllm;
        var service = Build(server).GetRequiredService<IChatCompletionService>();

        var pieces = await service
            .GetStreamingChatMessageContentsAsync("What is 12 + 30?", cancellationToken: TestTeacher.Token)
            .ToListAsync(TestTeacher.Token);

        var whole = Assert.IsType<GenerationResult>(pieces[^1].InnerContent);
        Assert.InRange(pieces.Count, 4, 100);
        Assert.Equal("42", string.Concat(pieces.Select(piece => piece.Content)));
        Assert.Equal(
            whole.Reasoning,
            string.Concat(pieces.SkipLast(1).Select(piece => piece.Metadata?.GetValueOrDefault(ReplyMetadata.Reasoning)))
        );
        Assert.Equal(("42", "stop"), (whole.Answer, pieces[^1].Metadata![ReplyMetadata.FinishReason]));
    }

    [Fact]
    public async Task GetStreamingChatMessageContents_ReaderLeaves_EndsTheRequest()
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

        await foreach (
            var piece in Build(server)
                .GetRequiredService<IChatCompletionService>()
                .GetStreamingChatMessageContentsAsync("?", cancellationToken: TestTeacher.Token)
        )
        {
            Assert.Equal("a", piece.Content);
            break;
        }

        await ended.Task.WaitAsync(TestTeacher.Token);
    }

    [Fact]
    public async Task GetChatMessageContents_FailureThatPasses_IsTriedAgainWhenTheServerSays()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(503, "7"), Replies.Status(500), Replies.Completion("ok"));
        var time = TestTeacher.Time();

        var message = await Build(server, time: time)
            .GetRequiredService<IChatCompletionService>()
            .GetChatMessageContentAsync("?", cancellationToken: TestTeacher.Token);

        Assert.Equal("ok", message.Content);
        Assert.Equal(3, server.Requests.Count);
        Assert.Contains(time.Delays, delay => delay >= TimeSpan.FromSeconds(7));
    }

    [Fact]
    public async Task GetChatMessageContents_RequestRefused_IsTheConnectorsExceptionWithStatusAndTheServersWords()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(400, "presence_penalty must be below 2"));

        var error = await Assert.ThrowsAsync<HttpOperationException>(() =>
            ServiceOf(server).GetChatMessageContentAsync("?", cancellationToken: TestTeacher.Token)
        );

        Assert.Equal((HttpStatusCode.BadRequest, "presence_penalty must be below 2"), (error.StatusCode, error.ResponseContent));
        Assert.StartsWith($"teacher at {server.Url} refused the request (400)", error.Message);
        Assert.IsType<InvalidInputException>(error.InnerException);
    }

    [Fact]
    public async Task GetStreamingChatMessageContents_RequestRefused_IsTheConnectorsException()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(401, "no"));

        var error = await Assert.ThrowsAsync<HttpOperationException>(() =>
            ServiceOf(server)
                .GetStreamingChatMessageContentsAsync("?", cancellationToken: TestTeacher.Token)
                .ToListAsync(TestTeacher.Token)
                .AsTask()
        );

        Assert.Equal(HttpStatusCode.Unauthorized, error.StatusCode);
        Assert.IsType<TeacherUnavailableException>(error.InnerException);
    }

    [Fact]
    public async Task GetChatMessageContents_Cancelled_IsNoFailure()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Stall);
        using var stop = new CancellationTokenSource();
        var pending = ServiceOf(server).GetChatMessageContentAsync("?", cancellationToken: stop.Token);
        await server.RequestArrivedAsync(TestTeacher.Token);

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
    }

    [Fact]
    public async Task GetChatMessageContents_SettingOfAnotherType_IsTheCallersMistake()
    {
        await using var server = await ProtocolServer.StartAsync();
        var settings = new PromptExecutionSettings { ExtensionData = new Dictionary<string, object> { ["temperature"] = "warm" } };

        var error = await Assert.ThrowsAsync<ArgumentException>(() =>
            ServiceOf(server).GetChatMessageContentAsync("?", settings, cancellationToken: TestTeacher.Token)
        );

        Assert.Equal("temperature: 'warm' is not a number", error.Message);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task GetChatMessageContents_MoreThanText_IsNotSupportedAndNothingIsSent()
    {
        await using var server = await ProtocolServer.StartAsync();
        var kernel = Build(server);
        kernel.ImportPluginFromFunctions("clock", [KernelFunctionFactory.CreateFromMethod(() => "noon", "now")]);
        var settings = new PromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto() };
        var service = kernel.GetRequiredService<IChatCompletionService>();
        ChatHistory history =
        [
            new(AuthorRole.User, [new TextContent("What is this?"), new ImageContent(new Uri("http://localhost/cat.png"))]),
        ];

        var image = await Assert.ThrowsAsync<NotSupportedException>(() =>
            service.GetChatMessageContentAsync(history, cancellationToken: TestTeacher.Token)
        );
        var functions = await Assert.ThrowsAsync<NotSupportedException>(() =>
            service.GetChatMessageContentAsync("?", settings, kernel, TestTeacher.Token)
        );

        Assert.Contains("ImageContent", image.Message);
        Assert.Contains("FunctionChoiceBehavior", functions.Message);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task Attributes_NameModelAndAddress()
    {
        await using var server = await ProtocolServer.StartAsync();

        var service = ServiceOf(server);

        Assert.Equal(("teacher", server.Url + "/"), (service.GetModelId(), service.GetEndpoint()));
    }

    [Fact]
    public async Task GetChatMessageContents_WithEveryLogLine_TellsTheKeyToNone()
    {
        var log = new RecordingLog();
        await using var server = await ProtocolServer.StartAsync(Replies.Status(500, body: $"bad key {Key}"));
        var kernel = Build(server, log: log, time: TestTeacher.Time());

        var error = await Assert.ThrowsAsync<HttpOperationException>(() =>
            kernel.GetRequiredService<IChatCompletionService>().GetChatMessageContentAsync("?", cancellationToken: TestTeacher.Token)
        );

        Assert.DoesNotContain(Key, error.ToString());
        Assert.NotEmpty(log.Lines);
        Assert.DoesNotContain(log.Lines, line => line.Contains(Key, StringComparison.Ordinal));
    }

    static IChatCompletionService ServiceOf(ProtocolServer server) => Build(server).GetRequiredService<IChatCompletionService>();

    static Kernel Build(ProtocolServer server, string? serviceId = null, RecordingLog? log = null, TimeProvider? time = null)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Key + "\n");
            var builder = Kernel.CreateBuilder();
            builder.Services.AddSingleton(time ?? TimeProvider.System);
            if (log is not null)
            {
                builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(log));
            }

            return builder
                .AddTraceDistillTeacher(
                    new EndpointSettings
                    {
                        Url = server.Url,
                        Model = "teacher",
                        ApiKeyFile = file,
                    },
                    serviceId
                )
                .Build();
        }
        finally
        {
            File.Delete(file);
        }
    }

    sealed class RecordingLog : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            Lines.Enqueue($"{state}");
            return null;
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose() { }
    }
}
