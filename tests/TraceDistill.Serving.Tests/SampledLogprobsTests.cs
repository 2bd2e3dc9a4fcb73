using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Serving.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Serving.Tests;

/// <summary><c>sampled_logprobs</c>: alternatives that are draws from the model's distribution.</summary>
[Trait("Category", "Numeric")]
public sealed class SampledLogprobsTests(RunningServer running) : IClassFixture<RunningServer>
{
    const string Chats = "v1/chat/completions";
    const string Completions = "v1/completions";
    const int Draws = 256;

    [Fact]
    public async Task Counts_OverManyChoices_AreThoseOfDrawsFromTheRawDistribution()
    {
        // Cold, and cut to the likeliest tokens: the draws are of the model's own distribution all the same.
        const int choices = 128;
        var response = await running.PostAsync(
            Chats,
            RunningServer.Chat(1, body =>
                (body["logprobs"], body["sampled_logprobs"], body["n"], body["temperature"], body["top_p"], body["return_token_ids"]) = (
                    true,
                    Draws,
                    choices,
                    0.5,
                    0.6,
                    true
                )
            )
        );

        var prompt = Ids(response.GetProperty("prompt_token_ids"));
        var expected = ReferenceDecoder.LogSoftmax(new ReferenceDecoder(running.Model.Parameters).Logits(prompt)[^1]);
        var counts = new int[expected.Length];
        foreach (var choice in response.GetProperty("choices").EnumerateArray())
        {
            var entry = Assert.Single(choice.GetProperty("logprobs").GetProperty("content").EnumerateArray());
            Assert.Equal(expected[entry.GetProperty("id").GetInt32()], entry.GetProperty("logprob").GetDouble(), 1e-4);
            foreach (var one in entry.GetProperty("top_logprobs").EnumerateArray())
            {
                counts[one.GetProperty("id").GetInt32()] += one.GetProperty("count").GetInt32();
            }
        }

        const double all = choices * Draws;
        Assert.Equal(all, counts.Sum());

        // Rare tokens together, where a normal distribution is no bound.
        var outcomes = counts
            .Zip(expected, (count, logprob) => (Count: (double)count, P: Math.Exp(logprob)))
            .ToLookup(one => one.P * all >= 25);
        var rare = (Count: outcomes[false].Sum(one => one.Count), P: outcomes[false].Sum(one => one.P));
        Assert.True(outcomes[true].Count() >= 10);
        Assert.All(outcomes[true].Append(rare), one =>
            Assert.InRange(one.Count - (all * one.P), -5 * Deviation(one.P), 5 * Deviation(one.P))
        );

        static double Deviation(double p) => Math.Sqrt(all * p * (1 - p));
    }

    [Fact]
    public async Task Entries_OfAChat_AreDistinctTokensWithCountAndItsLog()
    {
        const int draws = 12;
        var body = RunningServer.Chat(40, body => (body["logprobs"], body["sampled_logprobs"]) = (true, draws));
        var content = Content(await running.PostAsync(Chats, body));

        foreach (var entry in content)
        {
            var top = entry.GetProperty("top_logprobs").EnumerateArray().ToList();
            var counts = top.ConvertAll(one => one.GetProperty("count").GetInt32());
            Assert.Equal(draws, counts.Sum());
            Assert.Equal(counts.OrderDescending(), counts);
            Assert.Equal(top.Count, top.Select(one => one.GetProperty("id").GetInt32()).Distinct().Count());
            Assert.All(top, one =>
                Assert.Equal((float)Math.Log(one.GetProperty("count").GetInt32() / (double)draws), one.GetProperty("logprob").GetSingle())
            );
        }

        Assert.Contains(content, entry => entry.GetProperty("top_logprobs").GetArrayLength() > 1);
    }

    [Fact]
    public async Task Draws_OfAnotherSeedOrPosition_AreOthers()
    {
        async Task<List<string>> DrawAsync(int seed) =>
            [
                .. Content(
                        await running.PostAsync(
                            Chats,
                            RunningServer.Chat(20, body =>
                                (body["logprobs"], body["sampled_logprobs"], body["seed"], body["temperature"]) = (true, 32, seed, 0)
                            )
                        )
                    )
                    .Select(entry => entry.GetProperty("top_logprobs").GetRawText()),
            ];
        var first = await DrawAsync(seed: 1);

        Assert.Equal(first, await DrawAsync(seed: 1));
        Assert.NotEqual(first, await DrawAsync(seed: 2));
        Assert.NotEqual(first[0], first[1]);
    }

    [Fact]
    public async Task Tokens_AskedForWithDraws_AreTheSameAsWithout()
    {
        static JsonObject Body(string field, int value) => RunningServer.Chat(40, body => (body["logprobs"], body[field]) = (true, value));
        var plain = await running.PostAsync(Chats, Body("top_logprobs", 5));
        var drawn = await running.PostAsync(Chats, Body("sampled_logprobs", 5));

        Assert.Equal(Chosen(plain), Chosen(drawn));

        static List<(int, float)> Chosen(JsonElement response) =>
            [.. Content(response).Select(entry => (entry.GetProperty("id").GetInt32(), entry.GetProperty("logprob").GetSingle()))];
    }

    [Fact]
    public async Task Echo_OfWhatWasGenerated_DrawsTheSame()
    {
        var ids = running.Model.Tokenizer.Encode("the cat");
        var written = await running.PostAsync(Completions, Body(ids, maxTokens: 6));
        int[] all = [.. ids, .. Ids(written.GetProperty("choices")[0].GetProperty("token_ids"))];
        var scored = Logprobs(await running.PostAsync(Completions, Body(all, maxTokens: 0)));
        var generated = Logprobs(written);

        Assert.Equal(JsonValueKind.Null, scored.GetProperty("top_counts")[0].ValueKind);
        for (var t = 1; t < all.Length; t++)
        {
            var (counts, top) = (Numbers(scored.GetProperty("top_counts")[t]), Numbers(scored.GetProperty("top_logprobs")[t]));
            Assert.Equal(12, counts.Values.Sum());
            Assert.Equal(counts.Keys, top.Keys);
            Assert.All(counts, one => Assert.Equal(Math.Log(one.Value / 12), top[one.Key], 1e-6));
            Assert.Equal(Numbers(generated.GetProperty("top_counts")[t]), counts);
        }

        static JsonObject Body(int[] prompt, int maxTokens) =>
            new()
            {
                ["prompt"] = new JsonArray([.. prompt.Select(id => JsonValue.Create(id))]),
                ["echo"] = true,
                ["logprobs"] = 0,
                ["sampled_logprobs"] = 12,
                ["max_tokens"] = maxTokens,
                ["seed"] = 3,
                ["ignore_eos"] = true,
                ["return_token_ids"] = true,
                ["return_tokens_as_token_ids"] = true,
            };

        static JsonElement Logprobs(JsonElement response) => response.GetProperty("choices")[0].GetProperty("logprobs");

        static Dictionary<string, double> Numbers(JsonElement map) =>
            map.EnumerateObject().ToDictionary(one => one.Name, one => one.Value.GetDouble());
    }

    [Fact]
    public async Task Stream_PutTogether_HasTheSameDraws()
    {
        static JsonObject Body() => RunningServer.Chat(20, body => (body["logprobs"], body["sampled_logprobs"]) = (true, 8));

        Assert.Equal(
            Content(await running.PostAsync(Chats, Body())).Select(entry => entry.GetRawText()),
            (await running.StreamAsync(Chats, Body()))
                .Select(chunk => chunk.GetProperty("choices")[0].GetProperty("logprobs"))
                .Where(logprobs => logprobs.ValueKind == JsonValueKind.Object)
                .SelectMany(logprobs => logprobs.GetProperty("content").EnumerateArray())
                .Select(entry => entry.GetRawText())
        );
    }

    [Theory]
    [InlineData(Chats, """{"messages":[{"role":"user","content":"x"}],"sampled_logprobs":4}""")]
    [InlineData(Chats, """{"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":2,"sampled_logprobs":4}""")]
    [InlineData(Chats, """{"messages":[{"role":"user","content":"x"}],"logprobs":true,"sampled_logprobs":257}""")]
    [InlineData(Chats, """{"messages":[{"role":"user","content":"x"}],"logprobs":true,"sampled_logprobs":0}""")]
    [InlineData(Completions, """{"prompt":"x","logprobs":0,"sampled_logprobs":4}""")]
    [InlineData(Completions, """{"prompt":"x","logprobs":2,"sampled_logprobs":4,"return_tokens_as_token_ids":true}""")]
    public async Task Field_Wrong_IsNamed(string path, string body)
    {
        using var response = await running.SendAsync(path, JsonNode.Parse(body)!.AsObject());
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(System.Net.HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("sampled_logprobs", JsonDocument.Parse(text).RootElement.GetProperty("error").GetProperty("param").GetString());
    }

    static List<JsonElement> Content(JsonElement response) =>
        [.. response.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray()];

    static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];
}
