using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Texts;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Teachers.Tests.Texts;

/// <summary>Which tokens a teacher is sent for a trace, with a vocabulary of bytes, so that each is known.</summary>
public sealed class TextEncoderTests
{
    const int End = 257;
    static readonly Tokenizer Vocabulary = ScoringServer.Vocabulary;

    /// <summary>Tokens that no tokenizer would have chosen are what was drawn, and so what is scored.</summary>
    [Theory]
    [InlineData("stop", new int[] { 'h', 'i', End })]
    [InlineData("length", new int[] { 'h', 'i' })]
    public void Encode_SameVocabularyAndTemplate_KeepsTheWritersTokens(string finishReason, int[] expected)
    {
        var trace = Trace(finishReason) with { PromptTokenIds = [1, 2, 3], Logprobs = Drawn(['h', 'i']) };

        var request = Encoder(Source("template")).Encode(trace, 5);

        Assert.Equal((3, 5, "t"), (request.First, request.TopLogprobs, request.Id));
        Assert.Equal([1, 2, 3, .. expected], request.Tokens);
    }

    [Fact]
    public void Encode_EndThatTheWriterDrew_IsNotPutTwice()
    {
        var trace = Trace("stop") with { PromptTokenIds = [1], Logprobs = Drawn(['h', 'i', End]) };

        Assert.Equal([1, 'h', 'i', End], Encoder(Source("template")).Encode(trace, 5).Tokens);
    }

    [Fact]
    public void Encode_SameVocabularyBehindAnotherTemplate_RendersThePromptAnewAndKeepsTheAnswersTokens()
    {
        var trace = Trace("stop") with { PromptTokenIds = [1, 2, 3], Logprobs = Drawn(['h', 'i']) };

        var request = Encoder(Source("another")).Encode(trace, 5);

        Assert.Equal(2, request.First);
        Assert.Equal(['u', '?', 'h', 'i', End], request.Tokens);
    }

    /// <summary>The ids of another vocabulary say nothing here, and neither do those of a server that sent text.</summary>
    [Theory]
    [InlineData("other", TokenIdentity.Ids)]
    [InlineData(null, TokenIdentity.Text)]
    public void Encode_TokensOfAnotherVocabulary_AreWrittenAnew(string? hash, TokenIdentity identity)
    {
        var source = Source("template") with { TokenizerHash = hash ?? Vocabulary.Hash, TokenIdentity = identity };
        var trace = Trace("stop") with { PromptTokenIds = [1, 2, 3], Logprobs = Drawn([7, 7, 7]) };

        Assert.Equal(['u', '?', 'h', 'i', End], Encoder(source).Encode(trace, 5).Tokens);
    }

    [Fact]
    public void Encode_TextThatWasCutOff_HasNoEnd() => Assert.Equal(['u', '?', 'h', 'i'], Encoder(null).Encode(Trace("length"), 5).Tokens);

    [Theory]
    [InlineData("trimmed", "hi ")]
    [InlineData("changed", "hi")]
    public void Encode_TextThatTheTeacherWritesOtherwise_IsRefused(string way, string text)
    {
        var encoder = new TextEncoder(
            Vocabulary,
            "template",
            (messages, answer) => Write(messages, way == "trimmed" ? answer.Trim() : $"{answer}!"),
            null
        );

        var refusal = Assert.Throws<UnscorableTextException>(() => encoder.Encode(Trace("stop") with { Generation = text }, 5));

        Assert.Equal("written otherwise by the teacher's tokenizer", refusal.Reason);
        Assert.Contains("trace t: ", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>A template may open the reasoning in the prompt, where the writer wrote the mark itself, or the other way round.</summary>
    [Theory]
    [InlineData("<think>hi", "hi")]
    [InlineData("hi", "<think>hi")]
    public void Encode_ThinkMarkOnTheOtherSideOfThePromptsEnd_IsTheSameText(string text, string written)
    {
        var encoder = new TextEncoder(Vocabulary, "template", (messages, _) => Write(messages, written), null);

        Assert.Equal([.. Vocabulary.Encode($"u?{written}"), End], encoder.Encode(Trace("stop") with { Generation = text }, 5).Tokens);
    }

    /// <summary>Behind another template neither the call nor the tools that were offered would be in the text.</summary>
    [Fact]
    public void Encode_CallOfAToolWithItsTokens_IsScoredBehindItsOwnPromptAlone()
    {
        var trace = Trace("tool_calls") with
        {
            PromptTokenIds = [1, 2, 3],
            Logprobs = Drawn(['h', 'i', '{', '}', End]),
            ToolCalls = "[{}]",
        };

        Assert.Equal([1, 2, 3, 'h', 'i', '{', '}', End], Encoder(Source("template")).Encode(trace, 5).Tokens);
        foreach (var (source, call) in new[] { (Source("another"), trace), (Source("template"), trace with { PromptTokenIds = [] }) })
        {
            var refusal = Assert.Throws<UnscorableTextException>(() => Encoder(source).Encode(call, 5));
            Assert.Equal("with calls of tools, whose tokens are not known", refusal.Reason);
        }
    }

    /// <summary>A server that is sent text reads it in tokens of its own; those that were drawn may be others.</summary>
    [Fact]
    public void Encode_DrawnTokensThatATextDoesNotHave_AreRefusedWhereTextIsSent()
    {
        var trace = Trace("length") with { PromptTokenIds = ['u'], Logprobs = Drawn(['h', 0xC3]) };

        Assert.Equal(['u', 'h', 0xC3], Encoder(Source("template")).Encode(trace, 5).Tokens);
        var encoder = new TextEncoder(Vocabulary, "template", Write, Source("template")) { IsSentAsText = true };

        var refusal = Assert.Throws<UnscorableTextException>(() => encoder.Encode(trace, 5));

        Assert.Equal("in other tokens than the teacher's server reads their text in", refusal.Reason);
        Assert.Equal(['u', '?', 'h', 'i'], encoder.Encode(Trace("length"), 5).Tokens);
    }

    /// <summary>The teacher reads its own prompt; what stands with the scores is the text's, token by token as it was read.</summary>
    [Theory]
    [InlineData("template", new int[] { 1, 2, 3 })]
    [InlineData("another", new int[] { 'u', '?' })]
    public void Encode_PromptOfTheTeachersOwn_StandsBeforeTheSameTextAndIsNotKept(string template, int[] kept)
    {
        var trace = Trace("stop") with { PromptTokenIds = [1, 2, 3], Logprobs = Drawn(['h', 'i']), ExpectedAnswer = "7" };
        var encoder = new TextEncoder(Vocabulary, "template", Write, Source(template))
        {
            Context = text => [new ChatMessage("user", $"{text.Messages[0].Content}={text.ExpectedAnswer}")],
        };

        var request = encoder.Encode(trace, 5);

        Assert.Equal(['u', '?', '=', '7', 'h', 'i', End], request.Tokens);
        Assert.Equal(4, request.First);
        Assert.Equal(kept, encoder.PromptOf(trace, request));
    }

    static TextEncoder Encoder(DatasetDescription? source) => new(Vocabulary, "template", Write, source);

    static DatasetDescription Source(string template) =>
        new()
        {
            Teacher = "writer",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = Vocabulary.Hash,
            ChatTemplateHash = template,
        };

    static TeacherText Write(IReadOnlyList<ChatMessage> messages, string answer)
    {
        var prompt = Vocabulary.Encode(messages[0].Content);
        return new TeacherText([.. prompt, .. Vocabulary.Encode(answer), End], prompt.Length);
    }

    static TokenLogprobs Drawn(int[] ids) =>
        new()
        {
            K = 0,
            TokenIds = ids,
            Logprobs = new float[ids.Length],
            TopIds = [],
            TopLogprobs = [],
        };

    static Trace Trace(string finishReason) =>
        new()
        {
            Id = "t",
            ProblemId = "p",
            Source = "",
            Messages = [new ChatMessage("user", "u?")],
            Reasoning = "",
            Answer = "hi",
            Generation = "hi",
            ExpectedAnswer = "",
            FinishReason = finishReason,
            Verdict = "unverified",
            Teacher = "writer",
            Temperature = 1,
            TopP = 1,
            CompletionTokens = 2,
            CreatedAt = DateTimeOffset.UnixEpoch,
        };
}
