using System.ClientModel;
using System.Text.Json;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using TraceDistill.Serving.Tests.Support;
using Xunit;

namespace TraceDistill.Serving.Tests;

public sealed class OtherEndpointTests(RunningServer running) : IClassFixture<RunningServer>
{
    [Fact]
    public async Task Models_Asked_TellsTheOneModel()
    {
        using var list = JsonDocument.Parse(await GetAsync("v1/models"));
        using var one = JsonDocument.Parse(await GetAsync("v1/models/tiny"));

        Assert.Equal("tiny", list.RootElement.GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal(20_000, one.RootElement.GetProperty("max_model_len").GetInt32());
    }

    [Fact]
    public async Task Tokenize_TextOrConversation_GivesTheIdsThatARequestWouldHave()
    {
        var tokenizer = running.Model.Tokenizer;
        var text = await running.PostAsync("tokenize", new JsonObject { ["prompt"] = "größer <think>" });
        var chat = await running.PostAsync("tokenize", RunningServer.Chat(4));

        Assert.Equal(tokenizer.Encode("größer <think>", addSpecialTokens: true), Ids(text));
        Assert.Equal((Ids(text).Length, 20_000), (text.GetProperty("count").GetInt32(), text.GetProperty("max_model_len").GetInt32()));
        var answer = await running.PostAsync("v1/chat/completions", RunningServer.Chat(4));
        Assert.Equal(answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), Ids(chat).Length);
        Assert.Equal(
            "größer <think>",
            (
                await running.PostAsync(
                    "detokenize",
                    new JsonObject { ["tokens"] = new JsonArray([.. Ids(text).Select(id => JsonValue.Create(id))]) }
                )
            )
                .GetProperty("prompt")
                .GetString()
        );

        static int[] Ids(JsonElement response) => [.. response.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
    }

    /// <summary>
    /// As vLLM's: spellings are the vocabulary's, and a conversation may end inside its last message, white space at its end included.
    /// </summary>
    [Fact]
    public async Task Tokenize_FinalMessageToGoOnWith_EndsBehindItsContent()
    {
        var request = JsonNode
            .Parse(
                """
                {"messages":[{"role":"user","content":"für"},{"role":"assistant","content":"the cat "}],"add_generation_prompt":false,"continue_final_message":true,"return_token_strs":true}
                """
            )!
            .AsObject();
        var tokens = await running.PostAsync("tokenize", request);

        var ids = running.Model.Tokenizer.Encode("<|user|>für<|assistant|>the cat ");
        Assert.Equal(ids, tokens.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32()));
        var spellings = tokens.GetProperty("token_strs").EnumerateArray().Select(text => text.GetString()!).ToList();
        Assert.Equal("<|user|>fÃ¼r<|assistant|>theĠcatĠ", string.Concat(spellings));
        Assert.All(ids.Zip(spellings), token =>
            Assert.True(running.Model.Tokenizer.TryGetId(token.Second, out var id) && id == token.First)
        );
        request["max_tokens"] = 3;
        Assert.Equal(
            ids.Length,
            (await running.PostAsync("v1/chat/completions", request)).GetProperty("usage").GetProperty("prompt_tokens").GetInt32()
        );
    }

    [Theory]
    [InlineData("tokenize", "{}", "prompt")]
    [InlineData(
        "tokenize",
        """{"messages":[{"role":"assistant","content":"a"}],"continue_final_message":true}""",
        "continue_final_message"
    )]
    [InlineData(
        "v1/chat/completions",
        """{"messages":[{"role":"assistant","content":"a"}],"continue_final_message":true}""",
        "continue_final_message"
    )]
    [InlineData("tokenize", """{"prompt":"a","return_token_strs":"yes"}""", "return_token_strs")]
    [InlineData("tokenize", """{"messages":[{"role":"user","content":"a"}],"tools":[{}]}""", "tools")]
    [InlineData("detokenize", """{"tokens":"a"}""", "tokens")]
    [InlineData("detokenize", """{"tokens":[1,999999]}""", "999999")]
    public async Task Tokenize_WhatCannotBe_IsRefusedByName(string path, string request, string named)
    {
        using var content = new StringContent(request, System.Text.Encoding.UTF8, "application/json");
        using var response = await running.Client.PostAsync(
            new Uri(path, UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(400, (int)response.StatusCode);
        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Contains(named, body.RootElement.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_Asked_IsOk() => Assert.Equal("""{"status":"ok"}""", await GetAsync("health"));

    [Fact]
    public async Task Metrics_AfterARequest_CountItsTokens()
    {
        await using var server = await running.StartAsync();
        using var client = new HttpClient { BaseAddress = server.Endpoint };
        using var content = new StringContent(
            """{"prompt":[5,6,7],"max_tokens":9,"ignore_eos":true}""",
            System.Text.Encoding.UTF8,
            "application/json"
        );
        using var response = await client.PostAsync(
            new Uri("v1/completions", UriKind.Relative),
            content,
            TestContext.Current.CancellationToken
        );
        await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var metrics = await client.GetStringAsync(new Uri("metrics", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Contains("tracedistill_prompt_tokens_total 3\n", metrics, StringComparison.Ordinal);
        Assert.Contains("tracedistill_generated_tokens_total 9\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenAIClient_Stock_UnderstandsResponsesAndStreams()
    {
        var client = new ChatClient(
            "tiny",
            new ApiKeyCredential("none"),
            new OpenAIClientOptions { Endpoint = new Uri(running.Server.Endpoint, "v1") }
        );
        ChatMessage[] messages = [new UserChatMessage("2 + 2 für 日本?")];
#pragma warning disable OPENAI001 // The seed is still marked as experimental.
        var options = new ChatCompletionOptions
        {
            MaxOutputTokenCount = 40,
            IncludeLogProbabilities = true,
            TopLogProbabilityCount = 5,
            Seed = 5,
        };
#pragma warning restore OPENAI001
        ChatCompletion whole = await client.CompleteChatAsync(messages, options, TestContext.Current.CancellationToken);
        var (text, tokens, usage) = ("", 0, 0);
        await foreach (var update in client.CompleteChatStreamingAsync(messages, options, TestContext.Current.CancellationToken))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            tokens += update.ContentTokenLogProbabilities.Count;
            usage = update.Usage?.OutputTokenCount ?? usage;
        }

        var expected = await running.PostAsync("v1/chat/completions", RunningServer.Chat(40));
        Assert.Equal(expected.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), whole.Content[0].Text);
        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal(whole.Usage.OutputTokenCount, whole.ContentTokenLogProbabilities.Count);
        Assert.Equal(whole.Usage.OutputTokenCount, tokens);
        Assert.Equal(whole.Usage.OutputTokenCount, usage);
        Assert.All(whole.ContentTokenLogProbabilities, token => Assert.Equal(5, token.TopLogProbabilities.Count));
    }

    Task<string> GetAsync(string path) =>
        running.Client.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
}
