using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Serving.Tests.Support;
using Xunit;

namespace TraceDistill.Serving.Tests;

public sealed class StreamingTests(RunningServer running) : IClassFixture<RunningServer>
{
    [Fact]
    public async Task ChatStream_PutTogether_EqualsTheWholeResponse()
    {
        static JsonObject Body() =>
            RunningServer.Chat(80, body =>
                (body["n"], body["logprobs"], body["top_logprobs"], body["return_token_ids"]) = (2, true, 4, true)
            );
        var whole = await running.PostAsync("v1/chat/completions", Body());
        var body = Body();
        body["stream_options"] = new JsonObject { ["include_usage"] = true };
        var chunks = await running.StreamAsync("v1/chat/completions", body);

        foreach (var choice in whole.GetProperty("choices").EnumerateArray())
        {
            var parts = Parts(chunks, choice.GetProperty("index").GetInt32());
            Assert.Equal("assistant", parts[0].GetProperty("delta").GetProperty("role").GetString());
            Assert.Equal(
                choice.GetProperty("message").GetProperty("content").GetString(),
                string.Concat(parts.Select(part => part.GetProperty("delta").GetProperty("content").GetString()))
            );
            Assert.Equal(
                choice.GetProperty("logprobs").GetProperty("content").EnumerateArray().Select(entry => entry.GetRawText()),
                parts
                    .Where(part => part.GetProperty("logprobs").ValueKind == JsonValueKind.Object)
                    .SelectMany(part => part.GetProperty("logprobs").GetProperty("content").EnumerateArray())
                    .Select(entry => entry.GetRawText())
            );
            Assert.Equal(
                choice.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32()),
                parts
                    .Where(part => part.TryGetProperty("token_ids", out _))
                    .SelectMany(part => part.GetProperty("token_ids").EnumerateArray())
                    .Select(id => id.GetInt32())
            );
            Assert.Equal(choice.GetProperty("finish_reason").GetString(), Assert.Single(FinishReasons(parts)));
        }

        Assert.Equal(whole.GetProperty("usage").GetRawText(), chunks[^1].GetProperty("usage").GetRawText());
        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.Equal(whole.GetProperty("prompt_token_ids").GetRawText(), chunks[0].GetProperty("prompt_token_ids").GetRawText());
        Assert.Single(chunks, chunk => chunk.TryGetProperty("prompt_token_ids", out _));
    }

    [Fact]
    public async Task ChatStream_StopStringOverSeveralTokens_LetsNoneOfItOut()
    {
        var free = Text(await running.StreamAsync("v1/chat/completions", RunningServer.Chat(60)));
        var stop = RunningServer.WholePiece(free, from: 15, length: 3);
        var stopped = await running.StreamAsync("v1/chat/completions", RunningServer.Chat(60, body => body["stop"] = stop));

        Assert.Equal(free[..free.IndexOf(stop, StringComparison.Ordinal)], Text(stopped));
        Assert.Equal("stop", Assert.Single(FinishReasons(Parts(stopped, 0))));

        static string Text(List<JsonElement> chunks) =>
            string.Concat(Parts(chunks, 0).Select(part => part.GetProperty("delta").GetProperty("content").GetString()));
    }

    [Theory]
    [InlineData(false, 50)]
    [InlineData(true, 50)]
    [InlineData(true, 0)]
    public async Task CompletionStream_PutTogether_EqualsTheWholeResponse(bool echo, int maxTokens)
    {
        JsonObject Body() =>
            new()
            {
                ["prompt"] = "the größer cat",
                ["max_tokens"] = maxTokens,
                ["logprobs"] = 3,
                ["seed"] = 1,
                ["ignore_eos"] = true,
                ["echo"] = echo,
            };
        var choice = (await running.PostAsync("v1/completions", Body())).GetProperty("choices")[0];
        var parts = Parts(await running.StreamAsync("v1/completions", Body()), 0);

        Assert.Equal(choice.GetProperty("text").GetString(), string.Concat(parts.Select(part => part.GetProperty("text").GetString())));
        foreach (var column in new[] { "tokens", "token_logprobs", "top_logprobs", "text_offset" })
        {
            Assert.Equal(
                choice.GetProperty("logprobs").GetProperty(column).EnumerateArray().Select(entry => entry.GetRawText()),
                parts
                    .Where(part => part.GetProperty("logprobs").ValueKind == JsonValueKind.Object)
                    .SelectMany(part => part.GetProperty("logprobs").GetProperty(column).EnumerateArray())
                    .Select(entry => entry.GetRawText())
            );
        }
    }

    [Fact]
    public async Task CompletionStream_EchoWithoutLogprobs_BeginsWithThePrompt()
    {
        static JsonObject Body() =>
            new()
            {
                ["prompt"] = "the cat",
                ["max_tokens"] = 5,
                ["seed"] = 1,
                ["echo"] = true,
                ["stream_options"] = new JsonObject { ["include_usage"] = true },
            };
        var whole = await running.PostAsync("v1/completions", Body());
        var chunks = await running.StreamAsync("v1/completions", Body());
        var parts = Parts(chunks, 0);

        Assert.Equal("the cat", parts[0].GetProperty("text").GetString());
        Assert.Equal(
            whole.GetProperty("choices")[0].GetProperty("text").GetString(),
            string.Concat(parts.Select(part => part.GetProperty("text").GetString()))
        );
        Assert.Equal(whole.GetProperty("usage").GetRawText(), chunks[^1].GetProperty("usage").GetRawText());
    }

    [Fact]
    public async Task Stream_PromptThatIsTooLong_IsRefusedWithAStatus()
    {
        var body = new JsonObject
        {
            ["prompt"] = new JsonArray([.. Enumerable.Repeat(5, 20_001).Select(id => JsonValue.Create(id))]),
            ["stream"] = true,
        };
        using var response = await running.SendAsync("v1/completions", body);

        Assert.Equal(System.Net.HttpStatusCode.BadRequest, response.StatusCode);
        using var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal("context_length_exceeded", error.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    static List<JsonElement> Parts(List<JsonElement> chunks, int index) =>
        [
            .. chunks
                .SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
                .Where(choice => choice.GetProperty("index").GetInt32() == index),
        ];

    static List<string> FinishReasons(List<JsonElement> parts) =>
        [.. parts.Select(part => part.GetProperty("finish_reason").GetString()).OfType<string>()];
}
