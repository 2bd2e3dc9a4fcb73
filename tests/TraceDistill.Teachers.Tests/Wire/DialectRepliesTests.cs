using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using Xunit;
using static TraceDistill.TestServer.WireJson;

namespace TraceDistill.Teachers.Tests.Wire;

/// <summary>What is read from whole responses in the form of each kind of server.</summary>
public sealed class DialectRepliesTests
{
    static readonly ReplyToken[] Answer = ReplyToken.Characters("46");
    static readonly ReplyToken[] Ended = [.. Answer, ReplyToken.EndOfSequence];
    static readonly ReplyForm Lists = new(ListsEndOfSequence: true, OpensThinking: false);

    public static TheoryData<string, string> WithIds =>
        new()
        {
            { "vllm", DialectReplies.Vllm("46", null, Ended) },
            { "llamacpp", DialectReplies.LlamaCpp("46", null, Ended) },
            { "tracedistill", DialectReplies.TraceDistill("46", Ended) },
        };

    public static TheoryData<string, string> WithBytes =>
        new()
        {
            { "openai", DialectReplies.OpenAI("46", Answer) },
            { "vllm without ids", DialectReplies.Vllm("46", null, Ended, asTokenIds: false) },
            { "sglang", DialectReplies.Sglang("46", null, Ended) },
            { "deepseek", DialectReplies.DeepSeek("46", null, Answer) },
            { "openrouter", DialectReplies.OpenRouter("46", null, [], Answer) },
            { "ollama", DialectReplies.Ollama("46", null, Answer) },
        };

    public static TheoryData<string, string> WithReasoning =>
        new()
        {
            { "vllm", DialectReplies.Vllm("46", "12 and 34", null) },
            { "sglang", DialectReplies.Sglang("46", "12 and 34", null) },
            { "llamacpp", DialectReplies.LlamaCpp("46", "12 and 34", null) },
            { "deepseek", DialectReplies.DeepSeek("46", "12 and 34", null) },
            { "openrouter", DialectReplies.OpenRouter("46", "12 and 34", ["12 and 34"]) },
            { "openrouter, in details alone", DialectReplies.OpenRouter("46", null, ["12 and", " 34"]) },
            { "ollama", DialectReplies.Ollama("46", "12 and 34", null) },
            { "inline", DialectReplies.Tgi("<think>12 and 34</think>46", null) },
        };

    [Theory]
    [MemberData(nameof(WithIds))]
    public void Read_ServerThatTellsIds_KeepsThemWithTheEndOfSequence(string server, string reply)
    {
        var result = CompletionReader.Read(Utf8(reply), topLogprobs: 3, Lists);

        var logprobs = Assert.IsType<TokenLogprobs>(result.Logprobs);
        Assert.Null(logprobs.TokenBytes);
        Assert.Equal(['4', '6', ReplyToken.EndOfSequenceId], logprobs.TokenIds);
        Assert.Equal(['4', '5', '6'], logprobs.TopIds[..3]);
        Assert.Equal([-0.5f, -1.5f, -2.5f], logprobs.TopLogprobs[..3]);
        Assert.Equal(("46", "stop", 3), (result.Answer, result.FinishReason, result.CompletionTokens));
        Assert.Equal(server == "llamacpp" ? null : [5, 6], result.PromptTokenIds);
    }

    [Theory]
    [MemberData(nameof(WithBytes))]
    public void Read_ServerThatTellsBytes_NamesTokensByThem(string server, string reply)
    {
        var logprobs = CompletionReader.Read(Utf8(reply), topLogprobs: 3).Logprobs;

        Assert.NotNull(logprobs);
        Assert.Equal("4"u8, logprobs.TokenBytes![logprobs.TokenIds[0]]);
        Assert.Equal("6"u8, logprobs.TokenBytes[logprobs.TokenIds[1]]);
        Assert.Equal(server is "vllm without ids" or "sglang" ? 3 : 2, logprobs.Count);
    }

    [Fact]
    public void Read_ServerThatTellsTextAlone_GivesNoLogprobs() =>
        Assert.Null(CompletionReader.Read(Utf8(DialectReplies.Tgi("46", Answer)), topLogprobs: 3).Logprobs);

    [Theory]
    [MemberData(nameof(WithReasoning))]
    public void Read_ReasoningWhereverTheServerPutsIt_IsPartedFromTheAnswer(string server, string reply)
    {
        var result = CompletionReader.Read(Utf8(reply), topLogprobs: 0);

        Assert.True((result.Reasoning, result.Answer) == ("12 and 34", "46"), $"{server}: {result.Reasoning} | {result.Answer}");
        Assert.Equal("<think>12 and 34</think>46", result.Text);
    }

    [Theory]
    [InlineData("reasoning.summary", "summary", "in short")]
    [InlineData("reasoning.encrypted", "data", "")]
    public void Read_ReasoningDetailsWithoutText_GivesTheSummaryOrNothing(string type, string member, string expected)
    {
        var reply =
            $$$"""{"choices":[{"message":{"content":"46","reasoning_details":[{"type":"{{{type}}}","{{{member}}}":"in short"},{"text":null}]}}]}""";

        Assert.Equal(expected, CompletionReader.Read(Utf8(reply), topLogprobs: 0).Reasoning);
    }

    [Fact]
    public void Read_ReasoningLogprobsApart_ComeFirstWhereverTheyStand()
    {
        var result = CompletionReader.Read(Utf8(DialectReplies.DeepSeek("46", "Hm", Answer, ReplyToken.Characters("Hm"))), topLogprobs: 2);

        var logprobs = result.Logprobs!;
        Assert.Equal("Hm46"u8, logprobs.TokenIds.SelectMany(id => logprobs.TokenBytes![id]).ToArray());
        Assert.Equal("H"u8, logprobs.TokenBytes![logprobs.TopIds[0]]);
        Assert.Equal("4"u8, logprobs.TokenBytes[logprobs.TopIds[4]]);
    }

    [Fact]
    public void Read_HiddenReasoning_GivesNoLogprobs()
    {
        var result = CompletionReader.Read(Utf8(DialectReplies.OpenAI("46", Answer, hiddenTokens: 64)), topLogprobs: 3);

        Assert.Null(result.Logprobs);
        Assert.Equal(66, result.CompletionTokens);
    }

    [Fact]
    public void Read_TokensWithinACharacterLeftOut_GivesNoLogprobs()
    {
        var reply = DialectReplies
            .LlamaCpp("46", null, Ended)
            .Replace("\"completion_tokens\":3", "\"completion_tokens\":4", StringComparison.Ordinal);

        Assert.Null(CompletionReader.Read(Utf8(reply), topLogprobs: 3, Lists).Logprobs);
        Assert.NotNull(CompletionReader.Read(Utf8(reply), topLogprobs: 3).Logprobs);
    }

    [Fact]
    public void Read_ImpossibleAlternative_IsLeftOut()
    {
        ReplyToken[] tokens = [new(1, "a", -0.5, (1, "a", -0.5), (2, "b", -9999))];

        Assert.Equal([1, -1], CompletionReader.Read(Utf8(DialectReplies.LlamaCpp("a", null, tokens)), topLogprobs: 2).Logprobs!.TopIds);
    }

    [Fact]
    public void Read_Refusal_IsLabelledAndKept()
    {
        var result = CompletionReader.Read(Utf8(DialectReplies.OpenAI(null, null, refusal: "I can't help with that.")), topLogprobs: 3);

        Assert.Equal(("refusal", "I can't help with that."), (result.FinishReason, result.Answer));
        Assert.Null(result.Logprobs);
    }

    [Theory]
    [InlineData("stop")]
    [InlineData("content_filter")]
    public void Read_EmptyAnswer_IsKept(string finishReason)
    {
        var result = CompletionReader.Read(Utf8(DialectReplies.OpenAI(null, [], finishReason)), topLogprobs: 3);

        Assert.Equal(("", finishReason), (result.Answer, result.FinishReason));
    }

    [Fact]
    public void Read_CutOffInAThinkingThatThePromptOpened_IsReasoning()
    {
        var reply = Utf8(DialectReplies.Tgi("so far", null, "length"));

        Assert.Equal(("so far", ""), Parts(CompletionReader.Read(reply, 0, new ReplyForm(false, OpensThinking: true))));
        Assert.Equal(("", "so far"), Parts(CompletionReader.Read(reply, 0)));
    }

    [Fact]
    public void Read_SglangsOwnForm_WalksTheListsSideBySide()
    {
        var result = SglangGenerateReader.Read(Utf8(DialectReplies.SglangGenerate("<think>a</think>46", Ended)), topLogprobs: 3, Lists);

        Assert.Equal((("a", "46"), "stop", 2, 3), (Parts(result), result.FinishReason, result.PromptTokens, result.CompletionTokens));
        Assert.Equal(['4', '6', 0], result.Logprobs!.TokenIds);
        Assert.Equal(['4', '5', '6', '6', '7', '8', 0, 10, -1], result.Logprobs.TopIds);
        Assert.Equal([-0.5f, -0.5f, -0.25f], result.Logprobs.Logprobs);
    }

    [Theory]
    [InlineData("""{"meta_info":{}}""", "no text")]
    [InlineData("""[]""", "the response is an array")]
    [InlineData("""{"text":"x","meta_info":{"output_token_logprobs":[[-1,"a"]]}}""", "output_token_logprobs[]")]
    [InlineData("""{"text":"x","meta_info":{"output_token_logprobs":[[-1,-2]]}}""", "invalid token id")]
    [InlineData("""{"text":"x","meta_info":{"finish_reason":{"type":"abort"}}}""", "aborted the generation")]
    [InlineData("""{"text":"x","meta""", "not JSON")]
    public void Read_SglangsOwnFormInAnotherShape_SaysWhatIsWrong(string json, string expected) =>
        Assert.Contains(
            expected,
            Assert.ThrowsAny<WireFormatException>(() => SglangGenerateReader.Read(Utf8(json), topLogprobs: 2, Lists)).Message
        );

    [Theory]
    [InlineData("""{"text":"x","meta_info":{"output_token_logprobs":[[null,2]]}}""", "returned null for the logprob")]
    [InlineData("""{"text":"x","meta_info":{"output_token_logprobs":[[-1,2,null]],"completion_tokens":2}}""", "for 1 of 2 tokens")]
    [InlineData("""{"text":"x","meta_info":{}}""", "returned no logprobs")]
    public void Read_SglangsLogprobsThatCannotBeTaken_SaysWhyAndKeepsTheAnswer(string json, string expected)
    {
        var result = SglangGenerateReader.Read(Utf8(json), topLogprobs: 2, Lists);

        Assert.Equal(("x", true), (result.Answer, result.Logprobs is null));
        Assert.Contains(expected, result.LogprobLack!.Reason);
    }

    [Fact]
    public void Read_SglangsOwnFormCutOffAnywhere_IsTruncated()
    {
        var whole = Utf8(DialectReplies.SglangGenerate("46", Ended).Trim());
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Throws<WireFormatException>(() => SglangGenerateReader.Read(whole.AsSpan(0, length), topLogprobs: 3, Lists));
        }
    }

    static (string Reasoning, string Answer) Parts(GenerationResult result) => (result.Reasoning, result.Answer);
}
