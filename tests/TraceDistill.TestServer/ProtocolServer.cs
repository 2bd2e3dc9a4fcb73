using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using TraceDistill.TestServer.Forms;

namespace TraceDistill.TestServer;

/// <summary>
/// A real HTTP server on a free loopback port that plays a script: each completion takes the next reply,
/// and when the script is over, the last one again. What was asked is kept for the test to look at.
/// </summary>
public sealed class ProtocolServer : IAsyncDisposable
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

    /// <summary>Ends in <c>/v1</c>.</summary>
    public string Url => _app.Urls.Single() + "/v1";

    /// <summary>The bodies of the completions asked for.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>The Authorization headers that came with them.</summary>
    public ConcurrentQueue<string> Keys { get; } = new();

    /// <summary>Off for measurements with millions of requests.</summary>
    public bool KeepsRequests { get; set; } = true;

    /// <summary>The list at <c>/models</c>; null answers 404.</summary>
    public string[]? Models { get; set; } = ["teacher"];

    /// <summary>
    /// The kind of server that its list of models and its other addresses look like; what completions look like is the replies' own.
    /// </summary>
    public WireForm Form { get; set; } = WireForms.TraceDistill;

    /// <summary>The answer of <c>/completions</c>; null answers 404.</summary>
    public Func<HttpContext, string, Task>? Completions { get; set; }

    /// <summary>The answer of SGLang's own <c>/generate</c>; null has the script answer.</summary>
    public Func<HttpContext, string, Task>? Generates { get; set; }

    /// <summary>
    /// True where the script is for all requests of a capability probe. Where it is not, it is for the probe's first
    /// question, and the others, which have the seed 0 as no trace has, are answered with a plain completion and not kept.
    /// </summary>
    public bool ScriptsProbe { get; set; }

    public static async Task<ProtocolServer> StartAsync(params Func<HttpContext, string, Task>[] script)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var server = new ProtocolServer(app, script);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        return server;
    }

    /// <summary>Completes when the next completion has been asked for.</summary>
    public Task RequestArrivedAsync(CancellationToken cancellationToken) => _arrivals.WaitAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _arrivals.Dispose();
    }

    Task AnswerAsync(HttpContext context) =>
        context.Request.Method == HttpMethods.Post ? CompleteAsync(context)
        : context.Request.Path.Value is { } path && path.EndsWith("/models", StringComparison.Ordinal) && Models is { } models
            ? Replies.Bytes(context, Form.Models(models))
        : Form.KnownBy.TryGetValue(context.Request.Path.Value!, out var body)
            ? Replies.Bytes(context, Encoding.UTF8.GetBytes(body), body.StartsWith('{') ? "application/json" : "text/plain")
        : Replies.Status(404)(context, "");

    async Task CompleteAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        if (context.Request.Path.Value!.EndsWith("/v1/completions", StringComparison.Ordinal))
        {
            await (Completions ?? Replies.Status(404))(context, body);
            return;
        }

        if (Generates is { } generates && context.Request.Path.Value!.EndsWith("/generate", StringComparison.Ordinal))
        {
            await generates(context, body);
            return;
        }

        if (!ScriptsProbe && IsOfProbe(body) && !IsFirstOfProbe(body))
        {
            await Replies.Completion("OK")(context, body);
            return;
        }

        if (KeepsRequests)
        {
            Requests.Enqueue(body);
            Keys.Enqueue(context.Request.Headers.Authorization.ToString());
        }

        if (_script.TryDequeue(out var reply))
        {
            _last = reply;
        }

        _arrivals.Release();
        await _last(context, body);
    }

    static bool IsOfProbe(string body) =>
        body.Contains("\"seed\":0,", StringComparison.Ordinal) || body.EndsWith("\"seed\":0}", StringComparison.Ordinal);

    static bool IsFirstOfProbe(string body) =>
        body.Contains("12 + 34", StringComparison.Ordinal) && !body.Contains("\"max_tokens\":1,", StringComparison.Ordinal);
}
