using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Serving.Model;
using Xunit;

namespace TraceDistill.Serving.Tests.Support;

/// <summary>A server over the tiny model on a free port, and a client; shared by the tests of a class.</summary>
public sealed class RunningServer : IAsyncLifetime
{
    internal TinyModelDirectory Model { get; } = new();

    public ModelServer Server { get; private set; } = null!;

    public HttpClient Client { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Server = await StartAsync();
        Client = new HttpClient { BaseAddress = Server.Endpoint };
    }

    public Task<ModelServer> StartAsync(Func<ServeOptions, ServeOptions>? change = null)
    {
        var options = new ServeOptions
        {
            Model = Model.Path,
            Name = "tiny",
            Port = 0,
            Threads = 2,
            CacheMegabytes = 32,
            ShutdownSeconds = 1,
        };
        return ModelServer.StartAsync(change?.Invoke(options) ?? options, cancellationToken: TestContext.Current.CancellationToken);
    }

    public async Task<JsonElement> PostAsync(string path, JsonObject body)
    {
        using var response = await SendAsync(path, body);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }

    public Task<HttpResponseMessage> SendAsync(string path, JsonObject body) =>
        Client.PostAsync(new Uri(path, UriKind.Relative), JsonContent.Create(body), TestContext.Current.CancellationToken);

    /// <summary>The data of each server-sent event but the closing <c>[DONE]</c>, which must be there.</summary>
    public async Task<List<JsonElement>> StreamAsync(string path, JsonObject body)
    {
        body["stream"] = true;
        using var response = await SendAsync(path, body);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var events = (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split(
            "\n\n",
            StringSplitOptions.RemoveEmptyEntries
        );
        Assert.All(events, one => Assert.StartsWith("data: ", one, StringComparison.Ordinal));
        Assert.Equal("data: [DONE]", events[^1]);
        return [.. events[..^1].Select(one => JsonDocument.Parse(one["data: ".Length..]).RootElement)];
    }

    public static JsonObject Chat(int maxTokens, Action<JsonObject>? change = null)
    {
        var body = new JsonObject
        {
            ["model"] = "tiny",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "2 + 2 für 日本?" }),
            ["max_tokens"] = maxTokens,
            ["seed"] = 5,
        };
        change?.Invoke(body);
        return body;
    }

    /// <summary>The first piece of a generated text that stands for the bytes generated: one without U+FFFD.</summary>
    public static string WholePiece(string text, int from, int length) =>
        Enumerable
            .Range(from, text.Length - from - length)
            .Select(at => text.Substring(at, length))
            .First(piece => !piece.Contains('\uFFFD', StringComparison.Ordinal));

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Server.DisposeAsync();
        Model.Dispose();
    }
}
