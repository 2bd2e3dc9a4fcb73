using System.IO.Compression;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using TraceDistill.Data.Contracts;
using TraceDistill.Inference;
using TraceDistill.Models.Cpu;
using TraceDistill.Serving.Endpoints;
using TraceDistill.Serving.Hosting;
using TraceDistill.Serving.Model;
using TraceDistill.Text.Errors;

namespace TraceDistill.Serving;

/// <summary>An OpenAI-compatible HTTP server over one model directory; disposing of it stops it.</summary>
/// <remarks>
/// <c>POST /v1/chat/completions</c>, <c>POST /v1/completions</c>, <c>GET /v1/models</c>, <c>POST /tokenize</c>, <c>POST /detokenize</c>,
/// <c>GET /health</c>, <c>GET /metrics</c>. Log-probabilities are natural logs, before temperature, top-k and top-p.
/// </remarks>
public sealed class ModelServer : IAsyncDisposable
{
    readonly WebApplication _host;
    readonly ServedModel _model;

    ModelServer(WebApplication host, ServedModel model) => (_host, _model) = (host, model);

    /// <summary>Where clients reach it, with the port it got; the API's base address is this with <c>/v1</c> after it.</summary>
    public Uri Endpoint { get; private set; } = new("http://localhost");

    /// <summary>The name of the model, as clients are to say it.</summary>
    public string ModelName => _model.Name;

    /// <summary>Counters of what the engine is doing and has done.</summary>
    public EngineCounters Counters => _model.Engine.Counters;

    /// <summary>Loads the model and starts to listen.</summary>
    /// <exception cref="InvalidInputException">
    /// A setting or a file of the model is wrong, or the server would be open to others without a key.
    /// </exception>
    /// <exception cref="ExternalFailureException">The port is taken, or the address is not this machine's.</exception>
    public static async Task<ModelServer> StartAsync(
        ServeOptions options,
        IRunObserver? observer = null,
        TimeProvider? time = null,
        CancellationToken cancellationToken = default
    )
    {
        options.Validate();
        if (VectorSupport.Warning is { } warning)
        {
            observer?.Message(warning);
        }

        var keys = ApiKeyGate.FromEnvironment(options.ApiKeyEnv);
        var model = ServedModel.Load(options, time ?? TimeProvider.System);
        if (model.Engine.Configuration.Remark is { } remark)
        {
            observer?.Message(remark);
        }

        var server = new ModelServer(Build(options, keys, model, observer ?? SilentObserver.Instance, time ?? TimeProvider.System), model);
        try
        {
            await server._host.StartAsync(cancellationToken);
            server.Endpoint = new Uri(server._host.Urls.Single());
            return server;
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            await server.DisposeAsync();
            throw new ExternalFailureException(
                $"cannot listen on {options.Host} port {options.Port}: {error.Message.TrimEnd('.')}; "
                    + "choose another port, or 0 for a free one, and an address of this machine",
                error
            );
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes no new requests, gives running ones their time to finish, and frees the model.</summary>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        await _host.DisposeAsync();
        _model.Dispose();
    }

    static WebApplication Build(ServeOptions options, ApiKeyGate? keys, ServedModel model, IRunObserver observer, TimeProvider time)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder
            .WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel =>
            {
                kestrel.AddServerHeader = false;
                // Kestrel's own cuts the connection, often before the client has the answer: see BodyBudget.
                kestrel.Limits.MaxRequestBodySize = null;
                kestrel.Listen(options.Address!, options.Port); // Validated.
            });
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, NoHostLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(options.ShutdownSeconds));
        builder.Services.AddResponseCompression(compression => compression.Providers.Add<GzipCompressionProvider>());
        builder.Services.Configure<GzipCompressionProviderOptions>(gzip => gzip.Level = CompressionLevel.Fastest);
        var host = builder.Build();
        var metrics = new ServerMetrics();
        host.UseRouting();
        host.Use(new RequestPipeline(keys, metrics, time, observer).InvokeAsync);
        host.UseResponseCompression();
        Map(host, options, model, metrics, time);
        return host;
    }

    static void Map(WebApplication host, ServeOptions options, ServedModel model, ServerMetrics metrics, TimeProvider time)
    {
        var gate = new AdmissionGate(options.MaxConcurrent + options.QueueLength);
        var bodies = new BodyBudget((long)options.MaxBodiesMegabytes << 20, (long)options.MaxRequestMegabytes << 20);
        var tokens = new TokenizeEndpoint(model, bodies, gate);
        var models = new ModelsEndpoint(model);
        host.MapPost(
            "/v1/chat/completions",
            new ChatEndpoint(model, bodies, gate, options.MaxTopLogprobs, time, Random.Shared.NextInt64).HandleAsync
        );
        host.MapPost(
            "/v1/completions",
            new CompletionEndpoint(model, bodies, gate, options.MaxTopLogprobs, time, Random.Shared.NextInt64).HandleAsync
        );
        host.MapGet("/v1/models", models.ListAsync);
        host.MapGet("/v1/models/{id}", models.GetAsync);
        host.MapPost("/tokenize", tokens.TokenizeAsync);
        host.MapPost("/detokenize", tokens.DetokenizeAsync);
        host.MapGet("/health", (HttpContext context) => WriteAsync(context, "application/json", """{"status":"ok"}"""));
        host.MapGet("/metrics", (HttpContext context) =>
            WriteAsync(context, "text/plain; version=0.0.4", metrics.Write(model.Engine.Counters))
        );
    }

    static Task WriteAsync(HttpContext context, string type, string text)
    {
        context.Response.ContentType = type;
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    /// <summary>Leaves signals to the program: a server inside a recipe stage must not take Ctrl-C for itself.</summary>
    sealed class NoHostLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
