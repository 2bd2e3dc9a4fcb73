using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Serving.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Serving.Tests;

[Trait("Category", "Numeric")]
public sealed class ChatCompletionTests(RunningServer running) : IClassFixture<RunningServer>
{
    const string Path = "v1/chat/completions";

    [Fact]
    public async Task Logprobs_OfARealResponse_EqualADirectForwardPass()
    {
        var response = await running.PostAsync(
            Path,
            Chat(60, body =>
                (body["logprobs"], body["top_logprobs"], body["return_token_ids"], body["temperature"]) = (true, 20, true, 0.8)
            )
        );

        var prompt = Ids(response.GetProperty("prompt_token_ids"));
        var choice = response.GetProperty("choices")[0];
        var tokens = Ids(choice.GetProperty("token_ids"));
        var content = choice.GetProperty("logprobs").GetProperty("content");
        Assert.Equal(running.Model.Tokenizer.Encode("<|user|>2 + 2 für 日本?<think>"), prompt);
        Assert.Equal(tokens.Length, content.GetArrayLength());
        var logits = new ReferenceDecoder(running.Model.Parameters).Logits([.. prompt, .. tokens]);
        for (var t = 0; t < tokens.Length; t++)
        {
            var expected = ReferenceDecoder.LogSoftmax(logits[prompt.Length - 1 + t]);
            var top = content[t].GetProperty("top_logprobs").EnumerateArray().ToList();
            Assert.Equal(tokens[t], content[t].GetProperty("id").GetInt32());
            Assert.Equal(expected[tokens[t]], content[t].GetProperty("logprob").GetDouble(), 1e-4);
            Assert.Equal(20, top.Count);
            Assert.All(top.Zip(expected.OrderDescending()), pair =>
                Assert.Equal(pair.Second, pair.First.GetProperty("logprob").GetDouble(), 1e-4)
            );
            Assert.All(top, one => Assert.Equal(expected[one.GetProperty("id").GetInt32()], one.GetProperty("logprob").GetDouble(), 1e-4));
        }
    }

    [Fact]
    public async Task Bytes_OfEveryToken_AreTrueEvenWhereCharactersAreSplit()
    {
        var response = await running.PostAsync(
            Path,
            Chat(120, body => (body["logprobs"], body["top_logprobs"], body["ignore_eos"]) = (true, 3, true))
        );

        var choice = response.GetProperty("choices")[0];
        var text = new List<byte>();
        var split = false;
        foreach (var entry in choice.GetProperty("logprobs").GetProperty("content").EnumerateArray())
        {
            foreach (var one in entry.GetProperty("top_logprobs").EnumerateArray().Prepend(entry))
            {
                byte[] expected = [.. running.Model.Tokenizer.GetBytes(one.GetProperty("id").GetInt32())];
                Assert.Equal(expected, Bytes(one));
                Assert.Equal(Encoding.UTF8.GetString(expected), one.GetProperty("token").GetString());
                split |= one.GetProperty("token").GetString()!.Contains('\uFFFD', StringComparison.Ordinal);
            }

            text.AddRange(entry.GetProperty("id").GetInt32() == running.Model.End ? [] : Bytes(entry));
        }

        Assert.True(split);
        Assert.Equal(Encoding.UTF8.GetString([.. text]), choice.GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task EndOfSequence_WhereDrawn_IsATokenWithLogprobsAndNotText()
    {
        var response = await FirstAsync(response => response.GetProperty("choices")[0].GetProperty("finish_reason").GetString() == "stop");

        var choice = response.GetProperty("choices")[0];
        var content = choice.GetProperty("logprobs").GetProperty("content");
        Assert.Equal(running.Model.End, Ids(choice.GetProperty("token_ids"))[^1]);
        Assert.Equal("<|end|>", content[content.GetArrayLength() - 1].GetProperty("token").GetString());
        Assert.DoesNotContain("<|end|>", choice.GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Equal(content.GetArrayLength(), response.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Choices_OfOneRequest_DifferAndAreRepeatable()
    {
        async Task<List<string>> TextsAsync(int n, int seed) =>
            [
                .. (await running.PostAsync(Path, Chat(20, body => (body["n"], body["seed"]) = (n, seed))))
                    .GetProperty("choices")
                    .EnumerateArray()
                    .Select(Content),
            ];

        var three = await TextsAsync(3, 8);
        Assert.Equal(3, three.Distinct().Count());
        Assert.Equal(three, await TextsAsync(3, 8));
        Assert.Equal(three[..1], await TextsAsync(1, 8));
        Assert.NotEqual(three, await TextsAsync(3, 9));
    }

    [Fact]
    public async Task Stop_StringWithinTheText_EndsBeforeItsFirstOccurrence()
    {
        var free = Content((await running.PostAsync(Path, Chat(60))).GetProperty("choices")[0]);
        var stop = RunningServer.WholePiece(free, from: 15, length: 2);
        var choice = (await running.PostAsync(Path, Chat(60, body => body["stop"] = new JsonArray("never there", stop)))).GetProperty(
            "choices"
        )[0];

        Assert.Equal(free[..free.IndexOf(stop, StringComparison.Ordinal)], Content(choice));
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task TokensAsTokenIds_AskedFor_NamesTokensById()
    {
        var response = await running.PostAsync(
            Path,
            Chat(5, body => (body["logprobs"], body["top_logprobs"], body["return_tokens_as_token_ids"]) = (true, 2, true))
        );

        foreach (var entry in response.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray())
        {
            Assert.Equal($"token_id:{entry.GetProperty("id").GetInt32()}", entry.GetProperty("token").GetString());
        }
    }

    [Fact]
    public async Task MaxTokens_Reached_FinishesByLength()
    {
        var response = await running.PostAsync(Path, Chat(7, body => body["ignore_eos"] = true));

        Assert.Equal("length", response.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(7, response.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(JsonValueKind.Null, response.GetProperty("choices")[0].GetProperty("logprobs").ValueKind);
    }

    [Fact]
    public async Task Content_ListOfTextParts_IsJoined()
    {
        var parts = new JsonArray(
            new JsonObject { ["type"] = "text", ["text"] = "ab" },
            new JsonObject { ["type"] = "text", ["text"] = "cd" }
        );
        var response = await running.PostAsync(
            Path,
            Chat(1, body => (body["messages"]![0]!["content"], body["return_token_ids"]) = (parts, true))
        );

        Assert.Equal("<|user|>abcd<think>", running.Model.Tokenizer.Decode(Ids(response.GetProperty("prompt_token_ids"))));
    }

    [Fact]
    public async Task Gzip_AskedFor_IsTheSameJson()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Path)
        {
            Content = new StringContent(Chat(30).ToJsonString(), Encoding.UTF8, "application/json"),
        };
        request.Headers.AcceptEncoding.ParseAdd("gzip");
        using var response = await running.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(["gzip"], response.Content.Headers.ContentEncoding);
        await using var stream = new System.IO.Compression.GZipStream(
            await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken),
            System.IO.Compression.CompressionMode.Decompress
        );
        using var document = await JsonDocument.ParseAsync(stream, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(
            Content((await running.PostAsync(Path, Chat(30))).GetProperty("choices")[0]),
            Content(document.RootElement.GetProperty("choices")[0])
        );
    }

    static JsonObject Chat(int maxTokens, Action<JsonObject>? change = null) => RunningServer.Chat(maxTokens, change);

    static string Content(JsonElement choice) => choice.GetProperty("message").GetProperty("content").GetString()!;

    static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];

    static byte[] Bytes(JsonElement entry) => [.. entry.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte())];

    /// <summary>The first response over many seeds that is as wanted.</summary>
    async Task<JsonElement> FirstAsync(Func<JsonElement, bool> isWanted)
    {
        for (var seed = 0; seed < 100; seed++)
        {
            var response = await running.PostAsync(
                Path,
                Chat(200, body => (body["seed"], body["logprobs"], body["top_logprobs"], body["return_token_ids"]) = (seed, true, 2, true))
            );
            if (isWanted(response))
            {
                return response;
            }
        }

        throw new InvalidOperationException("none of 100 seeds gave what is wanted");
    }
}
