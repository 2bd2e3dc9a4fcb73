using System.Globalization;
using System.Text.Json.Nodes;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Scoring;

/// <summary>Scores over HTTP, in the forms of the servers that give any, against the model's own formula.</summary>
public sealed class ScoringTests
{
    const int K = 5;

    static readonly int[] Sentence = ScoringServer.Vocabulary.Encode("What is 1 + 2? It is 3, and ж is a letter.");

    /// <summary>Row t is the distribution that token t is drawn from: nothing is shifted, whatever stands at the head of a list.</summary>
    [Theory]
    [InlineData("vllm", "prompt_logprobs")]
    [InlineData("sglang", "input_token_logprobs")]
    [InlineData("tracedistill", "echo")]
    [InlineData("compatible", "echo")]
    public async Task ScoreAsync_EachForm_GivesTheModelsOwnDistributions(string form, string way)
    {
        await using var server = await ScoringServer.StartAsync(form);
        using var teacher = Teacher(server);
        var capabilities = await teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token);

        Assert.Equal(way, capabilities.PromptScoring);
        Assert.Equal(TokenIdentity.Ids, capabilities.TokenIdentity);
        Assert.Equal((K, LogprobKind.Raw, false), (capabilities.TopLogprobs, capabilities.Logprobs, capabilities.AddsFirstToken));
        foreach (var first in new[] { 1, 10, Sentence.Length - 1 })
        {
            AssertScores(Sentence, first, await teacher.ScoreAsync(Request(Sentence, first), TestTeacher.Token));
        }
    }

    /// <summary>Tokens that are named by their text are found by their bytes; those that are no character join the tail.</summary>
    [Fact]
    public async Task ScoreAsync_ServerThatNamesTokensByText_FindsTheirIds()
    {
        await using var server = await ScoringServer.StartAsync("compatible");
        server.NamesText = true;
        using var teacher = Teacher(server);
        var capabilities = await teacher.ProbeAsync(Request(Sentence, first: 4), ScoringServer.Vocabulary, TestTeacher.Token);
        var scores = await teacher.ScoreAsync(Request(Sentence, first: 4), TestTeacher.Token);

        Assert.Equal(TokenIdentity.Bytes, capabilities.TokenIdentity);
        Assert.Equal(Sentence[4..], scores.TokenIds);
        for (var t = 0; t < scores.Count; t++)
        {
            var distribution = ScoringServer.Distribution(Sentence.AsSpan(0, 4 + t));
            Assert.Equal(distribution[Sentence[4 + t]], scores.Logprobs[t], 1e-5);
            var told = ScoringServer.Best(distribution, K).Where(entry => entry.Id is < 128 or >= ScoringServer.Begin).ToList();
            Assert.Equal(told.Select(entry => entry.Id), scores.TopIds.AsSpan(t * K, told.Count).ToArray());
        }
    }

    [Fact]
    public async Task ScoreAsync_ServerThatTakesTextAlone_IsSentText()
    {
        await using var server = await ScoringServer.StartAsync("compatible");
        server.TakesTextAlone = true;
        using var teacher = Teacher(server);
        var capabilities = await teacher.ProbeAsync(Request(Sentence, first: 4), ScoringServer.Vocabulary, TestTeacher.Token);

        AssertScores(Sentence, 4, await teacher.ScoreAsync(Request(Sentence, first: 4), TestTeacher.Token));

        Assert.Equal("echo of text", capabilities.PromptScoring);
        Assert.Contains("What is 1 + 2?", server.Requests.Last(), StringComparison.Ordinal);
    }

    /// <summary>A proxy that sorts the members of objects whose names are numbers loses which one was the prompt's.</summary>
    [Fact]
    public async Task ScoreAsync_IdsSortedOnTheirWay_AreFoundAllTheSame()
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        server.Spoils = answer =>
        {
            var list = answer["choices"]![0]!["prompt_logprobs"]!.AsArray();
            for (var i = 1; i < list.Count; i++)
            {
                list[i] = new JsonObject(
                    list[i]!
                        .AsObject()
                        .OrderBy(entry => int.Parse(entry.Key))
                        .Select(entry => KeyValuePair.Create(entry.Key, entry.Value?.DeepClone()))
                );
            }
        };
        using var teacher = await ProbedAsync(server);

        AssertScores(Sentence, 3, await teacher.ScoreAsync(Request(Sentence, first: 3), TestTeacher.Token));
    }

    /// <summary>
    /// Behind a server that puts a beginning of sequence before all that it is sent, a text that begins with one goes without, so that the
    /// model reads one and not two.
    /// </summary>
    [Theory]
    [InlineData("vllm")]
    [InlineData("compatible")]
    public async Task ScoreAsync_ServerThatAddsTheBeginning_IsSentTheTextWithout(string form)
    {
        await using var server = await ScoringServer.StartAsync(form);
        server.Reads = ids => [ScoringServer.Begin, .. ids];
        int[] text = [ScoringServer.Begin, .. Sentence];
        using var teacher = Teacher(server);
        var capabilities = await teacher.ProbeAsync(Request(text, first: 10), ScoringServer.Vocabulary, TestTeacher.Token);

        AssertScores(text, 10, await teacher.ScoreAsync(Request(text, first: 10), TestTeacher.Token));

        Assert.True(capabilities.AddsFirstToken);
        Assert.DoesNotContain($"[{ScoringServer.Begin},", server.Requests.Last(), StringComparison.Ordinal);
    }

    /// <summary>Where the text has no beginning, scores behind one are of another text: that is named, never shifted.</summary>
    [Theory]
    [InlineData("vllm", "puts a token of its own (not named) before the text that it is sent")]
    [InlineData("compatible", "puts a token of its own (256 \"<|begin|>\") before the text that it is sent")]
    public async Task ProbeAsync_ServerThatAddsABeginningThatTheTextHasNot_IsRefused(string form, string reason)
    {
        await using var server = await ScoringServer.StartAsync(form);
        server.Reads = ids => [ScoringServer.Begin, .. ids];
        using var teacher = Teacher(server);

        var refusal = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token)
        );

        Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("tracedistill")]
    public async Task ScoreAsync_OtherTokensThanWereSent_AreNamedAndCostThisTextAlone(string form)
    {
        await using var server = await ScoringServer.StartAsync(form);
        using var teacher = await ProbedAsync(server);
        server.Reads = ids => [.. ids[..12], 'x', .. ids[13..]];

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token)
        );

        Assert.Contains("text a: teacher at http://127.0.0.1", refusal.Message, StringComparison.Ordinal);
        Assert.EndsWith($"token {(form == "sglang" ? 3 : 12)} came back as {(int)'x'}, and {Sentence[12]} was sent", refusal.Message);
        server.Reads = ids => ids;
        AssertScores(Sentence, 10, await teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token));
    }

    [Theory]
    [InlineData("vllm", "returned logprobs for 30 of 43 tokens")]
    [InlineData("sglang", "returned logprobs for 21 of 34 tokens")]
    [InlineData("tracedistill", "returned logprobs for 30 of 43 tokens")]
    public async Task ScoreAsync_FewerTokensThanWereSent_AreCounted(string form, string problem)
    {
        await using var server = await ScoringServer.StartAsync(form);
        using var teacher = await ProbedAsync(server);
        server.Reads = ids => ids[..30];

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token)
        );

        Assert.Contains(problem, refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("compatible")]
    public async Task ScoreAsync_TextLongerThanTheContext_IsToldFromOtherRefusals(string form)
    {
        await using var server = await ScoringServer.StartAsync(form);
        using var teacher = await ProbedAsync(server);
        server.Context = 20;

        var refusal = await Assert.ThrowsAsync<UnscorableTextException>(() =>
            teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token)
        );

        Assert.Equal(UnscorableTextException.TooLong, refusal.Reason);
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("tracedistill")]
    public async Task ScoreAsync_PassingFailures_AreWaitedFor(string form)
    {
        await using var server = await ScoringServer.StartAsync(form);
        using var teacher = await ProbedAsync(server);
        server.First.Enqueue(Replies.Status(429, retryAfter: "3"));
        server.First.Enqueue(Replies.Status(503));
        server.First.Enqueue(Replies.Reset);
        server.First.Enqueue(Replies.CutShort);
        server.First.Enqueue(Replies.Json("{\"choices\":"));

        AssertScores(Sentence, 10, await teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token));
        Assert.Empty(server.First);
    }

    [Fact]
    public async Task ScoreAsync_OneOfTwoEndpointsRefusesTheKey_GoesOnAtTheOther()
    {
        await using var one = await ScoringServer.StartAsync("vllm");
        await using var other = await ScoringServer.StartAsync("vllm");
        using var teacher = new TeacherPool(
            [new PooledEndpoint(TestTeacher.Endpoint(one.Url)), new PooledEndpoint(TestTeacher.Endpoint(other.Url))],
            new ResilienceOptions(),
            TestTeacher.Time(),
            SilentObserver.Instance,
            () => 0
        );
        await teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token);
        one.First.Enqueue(Replies.Status(401));

        for (var i = 0; i < 4; i++)
        {
            AssertScores(Sentence, 10, await teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token));
        }
    }

    /// <summary>Ids that are the same and stand for other text: the tokenizer that made them is not the teacher's.</summary>
    [Theory]
    [InlineData("vllm", "spells token")]
    [InlineData("sglang", "spells token")]
    [InlineData("tracedistill", "echoes another text than")]
    public async Task ProbeAsync_TokenizerOfAnotherModel_IsFound(string form, string problem)
    {
        await using var server = await ScoringServer.StartAsync(form);
        server.Spoils = answer =>
        {
            if (answer["choices"]?[0]?["text"] is not null)
            {
                answer["choices"]![0]!["text"] = "something else altogether";
            }

            foreach (var entry in answer["choices"]?[0]?["prompt_logprobs"]?.AsArray().OfType<JsonObject>() ?? [])
            {
                entry.First().Value!["decoded_token"] = "word";
            }

            foreach (var entry in answer["meta_info"]?["input_token_logprobs"]?.AsArray() ?? [])
            {
                entry![2] = "word";
            }
        };
        using var teacher = Teacher(server);

        var refusal = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token)
        );

        Assert.Contains(problem, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("the tokenizer is not the teacher's", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProbeAsync_ServerThatScoresNoText_SaysSoAndWhatToDo()
    {
        await using var server = await ProtocolServer.StartAsync();
        server.Completions = Replies.Json("""{"choices":[{"text":"46","logprobs":null}]}""");
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        var refusal = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token)
        );

        Assert.Contains("does not score text that exists (asked by echo)", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("--teacher DIR", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProbeAsync_MadeUpLogprobs_AreRefused()
    {
        await using var server = await ScoringServer.StartAsync("tracedistill");
        server.Spoils = answer =>
        {
            var logprobs = answer["choices"]![0]!["logprobs"]!;
            logprobs["token_logprobs"] = new JsonArray([
                null,
                .. Enumerable.Repeat(0, Sentence.Length - 1).Select(zero => JsonValue.Create(zero)),
            ]);
            logprobs["top_logprobs"] = new JsonArray([null, .. Sentence.Skip(1).Select(id => new JsonObject { [$"token_id:{id}"] = 0 })]);
        };
        using var teacher = Teacher(server);

        var refusal = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token)
        );

        Assert.Contains("made-up logprobs", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>What they return in place of draws, or nothing, is no soft target of this kind.</summary>
    [Theory]
    [InlineData("vllm", false)]
    [InlineData("sglang", false)]
    [InlineData("compatible", false)]
    [InlineData("compatible", true)]
    public async Task ProbeAsync_ServerThatDoesNotDraw_IsRefusedForDraws(string form, bool refuses)
    {
        await using var server = await ScoringServer.StartAsync(form);
        for (var i = 0; refuses && i < 5; i++)
        {
            server.First.Enqueue(Replies.Error(400, "Unrecognized request argument supplied: sampled_logprobs"));
        }

        using var teacher = Teacher(server);

        var refusal = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(Request(Sentence, first: 10) with { DrawSeed = 1 }, ScoringServer.Vocabulary, TestTeacher.Token)
        );

        Assert.Contains("does not know sampled_logprobs", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>A limit is of the number, not of the way in which it is asked for.</summary>
    [Theory]
    [InlineData("vllm")]
    [InlineData("compatible")]
    public async Task ProbeAsync_ServerThatGrantsFewerAlternatives_SaysHowMany(string form)
    {
        await using var server = await ScoringServer.StartAsync(form);
        server.MostAlternatives = 3;
        using var teacher = Teacher(server);

        var refusal = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.ProbeAsync(Request(Sentence, first: 10) with { TopLogprobs = 7 }, ScoringServer.Vocabulary, TestTeacher.Token)
        );

        Assert.Contains(
            "returns at most 3 alternatives per token of a text that it scores, not 7",
            refusal.Message,
            StringComparison.Ordinal
        );
        Assert.Contains("--top-logprobs 3", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ScoreAsync_ServerThatKnowsNoTemperature_IsAskedWithout()
    {
        await using var server = await ScoringServer.StartAsync("compatible");
        using var teacher = await ProbedAsync(server);
        server.First.Enqueue(Replies.Error(400, "Unsupported parameter: 'temperature' is not supported with this model."));

        AssertScores(Sentence, 10, await teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token));

        Assert.DoesNotContain("temperature", server.Requests.Last(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("tracedistill")]
    public async Task ScoreAsync_TokenWithoutAlternatives_IsNoRow(string form)
    {
        await using var server = await ScoringServer.StartAsync(form);
        using var teacher = await ProbedAsync(server);
        server.Spoils = answer =>
        {
            switch (form)
            {
                case "vllm":
                    var map = answer["choices"]![0]!["prompt_logprobs"]![20]!.AsObject();
                    map.Skip(1).Select(entry => entry.Key).ToList().ForEach(key => map.Remove(key));
                    break;
                case "sglang":
                    answer["meta_info"]!["input_top_logprobs"]![9] = null;
                    break;
                default:
                    answer["choices"]![0]!["logprobs"]!["top_logprobs"]![20] = null;
                    break;
            }
        };

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token)
        );

        Assert.Contains("returned no alternatives for a token", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>A line break in the place of a space is another text, though both are nothing to see.</summary>
    [Fact]
    public async Task ScoreAsync_OtherWhitespaceThanWasSent_IsAnotherText()
    {
        await using var server = await ScoringServer.StartAsync("compatible");
        server.NamesText = true;
        using var teacher = await ProbedAsync(server);
        var space = Array.IndexOf(Sentence, ' ', 12);
        server.Reads = ids => [.. ids[..space], '\n', .. ids[(space + 1)..]];

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token)
        );

        Assert.EndsWith($"token {space} came back as another one, and {(int)' '} was sent", refusal.Message);
    }

    /// <summary>Some writer of JSON sorts names that are numbers, so that the prompt's own token is wherever its number puts it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ScoreAsync_MapsThatWereSortedOnTheWay_AreReadByWhatTheServerRead(bool addsFirst)
    {
        await using var server = await ScoringServer.StartAsync("vllm");
        server.Reads = ids => addsFirst ? [ScoringServer.Begin, .. ids] : ids;
        server.Spoils = answer =>
        {
            var list = answer["choices"]![0]!["prompt_logprobs"]!.AsArray();
            for (var i = 1; i < list.Count; i++)
            {
                var entries = list[i]!.AsObject().ToDictionary(entry => entry.Key, entry => entry.Value!.DeepClone());
                list[i] = new JsonObject(
                    entries
                        .OrderBy(entry => int.Parse(entry.Key, CultureInfo.InvariantCulture))
                        .Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value))
                );
            }
        };
        int[] text = addsFirst ? [ScoringServer.Begin, .. Sentence] : Sentence;
        using var teacher = Teacher(server);
        await teacher.ProbeAsync(Request(text, first: 10), ScoringServer.Vocabulary, TestTeacher.Token);

        AssertScores(text, 10, await teacher.ScoreAsync(Request(text, first: 10), TestTeacher.Token));
    }

    /// <summary>A text that was cut off within a character: what the server echoes there is no text of its own.</summary>
    [Theory]
    [InlineData("�")]
    [InlineData("")]
    [InlineData("é")]
    public async Task ScoreAsync_TextThatEndsWithinACharacter_IsTheOneThatWasSent(string end)
    {
        await using var server = await ScoringServer.StartAsync("tracedistill");
        using var teacher = await ProbedAsync(server);
        int[] text = [.. Sentence, 0xC3];
        server.Spoils = answer => answer["choices"]![0]!["text"] = ScoringServer.Vocabulary.Decode(Sentence) + end;

        AssertScores(text, 10, await teacher.ScoreAsync(Request(text, first: 10), TestTeacher.Token));
    }

    /// <summary>JSON has no −∞: servers write −9999, or words of Python's.</summary>
    [Fact]
    public async Task ScoreAsync_LogprobThatIsNoNumber_CostsTheTextAndSaysWhy()
    {
        await using var server = await ScoringServer.StartAsync("tracedistill");
        using var teacher = await ProbedAsync(server);
        server.Spoils = answer => answer["choices"]![0]!["logprobs"]!["token_logprobs"]![20] = "NaN";

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            teacher.ScoreAsync(Request(Sentence, first: 10), TestTeacher.Token)
        );

        Assert.Contains("the server computed no valid probability", refusal.Message, StringComparison.Ordinal);
    }

    static ScoringRequest Request(int[] tokens, int first) => new("a", tokens, first, K);

    static TeacherPool Teacher(ScoringServer server) =>
        new(TestTeacher.Endpoint(server.Url), new ResilienceOptions(), TestTeacher.Time(), SilentObserver.Instance, () => 0);

    static async Task<TeacherPool> ProbedAsync(ScoringServer server)
    {
        var teacher = Teacher(server);
        await teacher.ProbeAsync(Request(Sentence, first: 10), ScoringServer.Vocabulary, TestTeacher.Token);
        return teacher;
    }

    /// <summary>Every row against the formula, one that has no probability included.</summary>
    static void AssertScores(int[] tokens, int first, TokenLogprobs scores)
    {
        Assert.Equal(tokens[first..], scores.TokenIds);
        for (var t = 0; t < scores.Count; t++)
        {
            var distribution = ScoringServer.Distribution(tokens.AsSpan(0, first + t));
            Assert.Equal(Math.Max(distribution[tokens[first + t]], -9999), scores.Logprobs[t], 1e-5);

            // vLLM's list has the prompt's token in the place of the last where that is not among the best.
            var best = ScoringServer.Best(distribution, K);
            var sure = best.Exists(entry => entry.Id == tokens[first + t]) ? K : K - 1;
            for (var i = 0; i < sure; i++)
            {
                Assert.Equal(best[i].Id, scores.TopIds[(t * K) + i]);
                Assert.Equal(best[i].Logprob, scores.TopLogprobs[(t * K) + i], 1e-5);
            }
        }
    }
}
