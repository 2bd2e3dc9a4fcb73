using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Data.Pictures;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Serving.Tests;

/// <summary>Messages with pictures, as OpenAI's clients send them, to a model that looks at one.</summary>
public sealed class PictureMessageTests : IAsyncLifetime
{
    readonly TinyModelDirectory _model = new(ReferencePictures.Shape);
    ModelServer _server = null!;
    HttpClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        var options = new ServeOptions
        {
            Model = _model.Path,
            Name = "seeing",
            Port = 0,
            Threads = 2,
            CacheMegabytes = 32,
            ShutdownSeconds = 1,
        };
        _server = await ModelServer.StartAsync(options, cancellationToken: TestContext.Current.CancellationToken);
        _client = new HttpClient { BaseAddress = _server.Endpoint };
    }

    [Fact]
    public async Task Chat_PictureAsADataUrl_IsAnsweredAsTheEngineAnswersIt()
    {
        var picture = ReferencePictures.Random(1);

        var (status, body) = await PostAsync("v1/chat/completions", Chat(Text("what is "), Picture(UrlOf(picture)), Text("?")));

        Assert.Equal(HttpStatusCode.OK, status);
        using var engine = GenerationEngine.Load(_model.Path);
        int[] prompt =
        [
            .. _model.Tokenizer.Encode("<|user|>what is "),
            .. Enumerable.Repeat(PicturePrompt.Token, ReferencePictures.Shape.Patches),
            .. _model.Tokenizer.EncodeWithin("?<think>"),
        ];
        var request = new SequenceRequest
        {
            Prompt = prompt,
            Picture = picture,
            MaxTokens = 6,
            Temperature = 0,
            StopTokens = [_model.End],
        };
        var expected = await engine.GenerateAsync(request, TestContext.Current.CancellationToken);
        var choice = body.GetProperty("choices")[0];
        Assert.Equal(expected.Tokens, choice.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(prompt, body.GetProperty("prompt_token_ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(prompt.Length, body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_AnotherPicture_IsAnotherPrompt()
    {
        var first = await LogprobAsync(1);

        Assert.Equal(first, await LogprobAsync(1));
        Assert.NotEqual(first, await LogprobAsync(2));

        async Task<double> LogprobAsync(int seed)
        {
            var body = Chat(Picture(UrlOf(ReferencePictures.Random(seed))));
            (body["logprobs"], body["max_tokens"]) = (true, 1);
            var (_, answer) = await PostAsync("v1/chat/completions", body);
            return answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[0].GetProperty("logprob").GetDouble();
        }
    }

    [Fact]
    public async Task Tokenize_MessagesWithAPicture_HasAPlaceForEachVector()
    {
        var (_, body) = await PostAsync("tokenize", Chat(Picture(UrlOf(ReferencePictures.Random(1)))));

        var ids = body.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32());
        Assert.Equal(ReferencePictures.Shape.Patches, ids.Count(id => id == PicturePrompt.Token));
    }

    [Theory]
    [InlineData("https://example.com/a.png", "messages[0].content holds a picture that is not a data: URL; this server fetches nothing")]
    [InlineData("data:image/png,abc", "messages[0].content holds a data: URL that is not base64")]
    [InlineData("data:image/png;base64,?", "messages[0].content holds a data: URL that is not base64")]
    [InlineData("data:image/png;base64,AAAA", "messages: the picture: cannot be read as a picture")]
    public async Task Chat_PictureThatCannotBeTaken_IsRefused(string url, string message)
    {
        var (status, body) = await PostAsync("v1/chat/completions", Chat(Picture(url)));

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.StartsWith(message, MessageOf(body));
    }

    [Fact]
    public async Task Chat_NoPictureOrTwo_IsRefused()
    {
        var one = UrlOf(ReferencePictures.Random(1));

        var (none, two) = (
            await PostAsync("v1/chat/completions", Chat(Text("2 + 2?"))),
            await PostAsync("v1/chat/completions", Chat(Picture(one), Picture(one)))
        );

        Assert.Equal(HttpStatusCode.BadRequest, none.Status);
        Assert.Equal("the prompt has 0 pictures, and this model looks at one: give it exactly one", MessageOf(none.Body));
        Assert.Equal("the prompt has 2 pictures, and this model looks at one: give it exactly one", MessageOf(two.Body));
    }

    [Fact]
    public async Task Chat_PictureForAModelThatReads_IsRefused()
    {
        await using var running = new RunningServer();
        await running.InitializeAsync();
        var body = Chat(Picture(UrlOf(ReferencePictures.Random(1))));
        body["model"] = "tiny";

        using var response = await running.SendAsync("v1/chat/completions", body);

        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("messages hold a picture, and tiny reads text alone", MessageOf(JsonDocument.Parse(text).RootElement));
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        _model.Dispose();
    }

    static string? MessageOf(JsonElement body) => body.GetProperty("error").GetProperty("message").GetString();

    static string UrlOf(Picture picture) => $"data:image/png;base64,{Convert.ToBase64String(PictureFile.ToPng(picture))}";

    static JsonObject Text(string text) => new() { ["type"] = "text", ["text"] = text };

    static JsonObject Picture(string url) =>
        new()
        {
            ["type"] = "image_url",
            ["image_url"] = new JsonObject { ["url"] = url },
        };

    static JsonObject Chat(params JsonNode[] parts) =>
        new()
        {
            ["model"] = "seeing",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = new JsonArray(parts) }),
            ["max_tokens"] = 6,
            ["temperature"] = 0,
            ["return_token_ids"] = true,
        };

    async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(string path, JsonObject body)
    {
        using var response = await _client.PostAsync(
            new Uri(path, UriKind.Relative),
            JsonContent.Create(body),
            TestContext.Current.CancellationToken
        );
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (response.StatusCode, JsonDocument.Parse(text).RootElement);
    }
}
