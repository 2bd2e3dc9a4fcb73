using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Serving.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Serving.Tests;

[Trait("Category", "Numeric")]
public sealed class CompletionTests(RunningServer running) : IClassFixture<RunningServer>
{
    const string Path = "v1/completions";
    const string Sentence = "größer als 日本語 ☃";

    [Fact]
    public async Task Echo_WithNothingToGenerate_ScoresThePromptAsADirectForwardPass()
    {
        var ids = running.Model.Tokenizer.Encode(Sentence);
        var response = await running.PostAsync(
            Path,
            new JsonObject
            {
                ["prompt"] = Array(ids),
                ["echo"] = true,
                ["logprobs"] = 6,
                ["max_tokens"] = 0,
                ["return_tokens_as_token_ids"] = true,
            }
        );

        var choice = response.GetProperty("choices")[0];
        var logprobs = choice.GetProperty("logprobs");
        Assert.Equal(Sentence, choice.GetProperty("text").GetString());
        Assert.Equal(
            ids.Select(id => $"token_id:{id}"),
            logprobs.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)
        );
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("token_logprobs")[0].ValueKind);
        Assert.Equal(JsonValueKind.Null, logprobs.GetProperty("top_logprobs")[0].ValueKind);
        var logits = new ReferenceDecoder(running.Model.Parameters).Logits(ids);
        for (var t = 1; t < ids.Length; t++)
        {
            var expected = ReferenceDecoder.LogSoftmax(logits[t - 1]);
            Assert.Equal(expected[ids[t]], logprobs.GetProperty("token_logprobs")[t].GetDouble(), 1e-4);
            var top = logprobs.GetProperty("top_logprobs")[t].EnumerateObject().ToList();
            var likeliest = expected.OrderDescending().Take(6).ToList();
            Assert.All(top.Zip(likeliest), pair => Assert.Equal(pair.Second, pair.First.Value.GetDouble(), 1e-4));
            Assert.Contains($"token_id:{ids[t]}", top.Select(one => one.Name));
            Assert.Equal(expected[ids[t]] < likeliest[^1] ? 7 : 6, top.Count);
            Assert.All(top, one => Assert.Equal(expected[int.Parse(one.Name["token_id:".Length..], null)], one.Value.GetDouble(), 1e-4));
        }

        Assert.Equal(0, response.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task TopLogprobs_NoneAskedFor_HoldTheChosenTokenAlone()
    {
        var response = await running.PostAsync(
            Path,
            new JsonObject
            {
                ["prompt"] = "the cat",
                ["logprobs"] = 0,
                ["max_tokens"] = 4,
                ["seed"] = 1,
                ["ignore_eos"] = true,
                ["return_token_ids"] = true,
                ["return_tokens_as_token_ids"] = true,
            }
        );

        var choice = response.GetProperty("choices")[0];
        foreach (var (t, id) in choice.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32()).Index())
        {
            var only = Assert.Single(choice.GetProperty("logprobs").GetProperty("top_logprobs")[t].EnumerateObject());
            Assert.Equal($"token_id:{id}", only.Name);
            Assert.Equal(choice.GetProperty("logprobs").GetProperty("token_logprobs")[t].GetDouble(), only.Value.GetDouble());
        }
    }

    [Fact]
    public async Task TopP_Zero_TakesTheLikeliestToken()
    {
        async Task<string> TextAsync(string setting, int value) => (
                await running.PostAsync(
                    Path,
                    new JsonObject
                    {
                        ["prompt"] = "the cat",
                        ["max_tokens"] = 30,
                        [setting] = value,
                    }
                )
            ).GetProperty("choices")[0].GetProperty("text").GetString()!;

        Assert.Equal(await TextAsync("temperature", 0), await TextAsync("top_p", 0));
    }

    [Fact]
    public async Task TextOffset_OfWholeCharacters_CountsCharacters()
    {
        var response = await running.PostAsync(
            Path,
            new JsonObject
            {
                ["prompt"] = Sentence,
                ["echo"] = true,
                ["logprobs"] = 0,
                ["max_tokens"] = 0,
            }
        );

        var logprobs = response.GetProperty("choices")[0].GetProperty("logprobs");
        var offset = 0;
        foreach (
            var (token, actual) in logprobs.GetProperty("tokens").EnumerateArray().Zip(logprobs.GetProperty("text_offset").EnumerateArray())
        )
        {
            if (!token.GetString()!.Contains('\uFFFD', StringComparison.Ordinal))
            {
                Assert.Equal(Sentence.IndexOf(token.GetString()!, offset, StringComparison.Ordinal), actual.GetInt32());
            }

            offset = actual.GetInt32();
        }
    }

    [Fact]
    public async Task Prompts_InAllForms_GiveChoicesPromptByPrompt()
    {
        var (one, two) = (running.Model.Tokenizer.Encode("the cat"), running.Model.Tokenizer.Encode("12 +"));
        async Task<List<string>> TextsAsync(JsonNode prompt) => [.. (
                    await running.PostAsync(
                        Path,
                        new JsonObject
                        {
                            ["prompt"] = prompt,
                            ["max_tokens"] = 10,
                            ["n"] = 2,
                            ["seed"] = 3,
                        }
                    )
                ).GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("text").GetString()!)];

        var both = await TextsAsync(new JsonArray("the cat", "12 +"));
        Assert.Equal(4, both.Count);
        Assert.Equal(both, await TextsAsync(new JsonArray(Array(one), Array(two))));
        Assert.Equal(both[..2], await TextsAsync("the cat"));
        Assert.Equal(both[2..], await TextsAsync(Array(two)));
    }

    [Fact]
    public async Task Echo_WithGeneration_PutsPromptAndContinuationTogether()
    {
        var body = new JsonObject
        {
            ["prompt"] = "the cat",
            ["max_tokens"] = 5,
            ["seed"] = 2,
            ["logprobs"] = 1,
            ["ignore_eos"] = true,
        };
        var plain = (await running.PostAsync(Path, body)).GetProperty("choices")[0];
        body["echo"] = true;
        var echoed = (await running.PostAsync(Path, body)).GetProperty("choices")[0];

        Assert.Equal("the cat" + plain.GetProperty("text").GetString(), echoed.GetProperty("text").GetString());
        // On a GPU, or without the CPU's kernels, the last bits depend on how much of a sequence a step takes in.
        Assert.Equal(5, Values(plain).Length);
        Assert.All(Values(plain).Zip(Values(echoed)[^5..]), pair => Assert.Equal(pair.First, pair.Second, 1e-5));

        static double[] Values(JsonElement choice) =>
            [
                .. choice
                    .GetProperty("logprobs")
                    .GetProperty("token_logprobs")
                    .EnumerateArray()
                    .Select(value => value.ValueKind == JsonValueKind.Null ? 0 : value.GetDouble()),
            ];
    }

    static JsonArray Array(int[] ids) => [.. ids.Select(id => JsonValue.Create(id))];
}
