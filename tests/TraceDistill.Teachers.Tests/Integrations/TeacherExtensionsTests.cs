using System.Collections.Concurrent;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Integrations;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Integrations;

public sealed class TeacherExtensionsTests
{
    [Fact]
    public async Task AddTraceDistillTeacher_BothFrameworks_AreServedByOneTeacherThatEndsWithTheServices()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("ok"));
        var services = new ServiceCollection().AddTraceDistillTeacher(SettingsOf(server));
        TeacherPool teacher;
        await using (var provider = services.BuildServiceProvider(validateScopes: true))
        {
            var (client, service) = (provider.GetRequiredService<IChatClient>(), provider.GetRequiredService<IChatCompletionService>());
            teacher = provider.GetRequiredService<TeacherPool>();

            Assert.Equal("ok", (await client.GetResponseAsync("?", cancellationToken: TestTeacher.Token)).Text);
            Assert.Equal("ok", (await service.GetChatMessageContentAsync("?", cancellationToken: TestTeacher.Token)).Content);
            Assert.Same(teacher, client.GetService<TeacherPool>());
        }

        await Assert.ThrowsAnyAsync<ObjectDisposedException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));
    }

    [Fact]
    public async Task AddTraceDistillTeacher_TwoOfThem_AreAskedForByTheirKeys()
    {
        await using var first = await ProtocolServer.StartAsync(Replies.Completion("first"));
        await using var second = await ProtocolServer.StartAsync(Replies.Completion("second"));
        var builder = Kernel.CreateBuilder();
        builder.AddTraceDistillTeacher(SettingsOf(first), "a").AddTraceDistillTeacher(SettingsOf(second), "b");
        var kernel = builder.Build();

        var answer = await kernel.InvokePromptAsync(
            "?",
            new KernelArguments(new PromptExecutionSettings { ServiceId = "b" }),
            cancellationToken: TestTeacher.Token
        );

        Assert.Equal("second", answer.GetValue<string>());
        Assert.Equal(
            "first",
            (await kernel.GetRequiredService<IChatClient>("a").GetResponseAsync("?", cancellationToken: TestTeacher.Token)).Text
        );
    }

    [Fact]
    public async Task AddTraceDistillTeacher_ResilienceAndHandlers_AreTheCallers()
    {
        var counter = new CountingHandler();
        await using var server = await ProtocolServer.StartAsync(Replies.Status(500));
        var services = new ServiceCollection().AddSingleton<TimeProvider>(TestTeacher.Time());
        services.AddTraceDistillTeacher(SettingsOf(server), resilience: new ResilienceOptions { MaxRetries = 2 }, configureHttp: http =>
            http.AddHttpMessageHandler(() => counter)
        );
        await using var provider = services.BuildServiceProvider();

        await Assert.ThrowsAsync<HttpRequestException>(() =>
            provider.GetRequiredService<IChatClient>().GetResponseAsync("?", cancellationToken: TestTeacher.Token)
        );

        Assert.Equal(3, server.Requests.Count);
        Assert.Equal(3, counter.Posts);
    }

    [Fact]
    public async Task AddTraceDistillTeacher_WithLogging_SaysWhyItWaits()
    {
        var log = new ListLog();
        await using var server = await ProtocolServer.StartAsync(Replies.Status(503, "30"), Replies.Completion("ok"));
        var services = new ServiceCollection()
            .AddSingleton<TimeProvider>(TestTeacher.Time())
            .AddLogging(logging => logging.AddProvider(log));
        await using var provider = services.AddTraceDistillTeacher(SettingsOf(server)).BuildServiceProvider();

        await provider.GetRequiredService<IChatClient>().GetResponseAsync("?", cancellationToken: TestTeacher.Token);

        Assert.Contains(log.Lines, line => line.Contains("has too much to do (503); trying again in 3", StringComparison.Ordinal));
    }

    static EndpointSettings SettingsOf(ProtocolServer server) => new() { Url = server.Url, Model = "teacher" };

    sealed class CountingHandler : DelegatingHandler
    {
        public int Posts { get; private set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Posts += request.Method == HttpMethod.Post ? 1 : 0;
            return base.SendAsync(request, cancellationToken);
        }
    }

    sealed class ListLog : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Enqueue(formatter(state, exception));

        public void Dispose() { }
    }
}
