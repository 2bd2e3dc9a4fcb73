using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>
/// A real HTTP server on a free loopback port that plays a script: each chat completion takes the next reply, and when the script is over,
/// the last one again. What was asked is kept for the test to look at.
/// </summary>
sealed class ProtocolServer : IAsyncDisposable
{
    readonly WebApplication _app;
    readonly ConcurrentQueue<Func<HttpContext, string, Task>> _script;
    readonly SemaphoreSlim _arrivals = new(0);
    Func<HttpContext, string, Task> _last;

    ProtocolServer(WebApplication app, Func<HttpContext, string, Task>[] script)
    {
        _app = app;
        _script = new(script);
        _last = script.Length == 0 ? Replies.Completion("ok") : script[^1];
    }

    public string Url => _app.Urls.Single() + "/v1";

    /// <summary>The bodies of the chat completions asked for.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>The Authorization headers that came with them.</summary>
    public ConcurrentQueue<string> Keys { get; } = new();

    /// <summary>What <c>/models</c> lists; null answers 404.</summary>
    public string[]? Models { get; set; } = ["teacher"];

    public static async Task<ProtocolServer> StartAsync(params Func<HttpContext, string, Task>[] script)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var server = new ProtocolServer(app, script);
        app.MapGet("/v1/models", server.ListModelsAsync);
        app.MapPost("/v1/chat/completions", server.CompleteAsync);
        await app.StartAsync();
        return server;
    }

    /// <summary>Completes when the next chat completion has been asked for.</summary>
    public Task RequestArrivedAsync(CancellationToken cancellationToken) => _arrivals.WaitAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _arrivals.Dispose();
    }

    Task ListModelsAsync(HttpContext context)
    {
        if (Models is null)
        {
            context.Response.StatusCode = 404;
            return Task.CompletedTask;
        }

        return context.Response.WriteAsJsonAsync(new { data = Models.Select(id => new { id }) });
    }

    async Task CompleteAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        Requests.Enqueue(body);
        Keys.Enqueue(context.Request.Headers.Authorization.ToString());
        if (_script.TryDequeue(out var reply))
        {
            _last = reply;
        }

        _arrivals.Release();
        await _last(context, body);
    }
}
