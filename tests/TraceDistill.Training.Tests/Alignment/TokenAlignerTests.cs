using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

public sealed class TokenAlignerTests : IDisposable
{
    static readonly float None = float.NegativeInfinity;
    readonly StudentFiles _student = new();

    public void Dispose() => _student.Dispose();

    [Theory]
    [InlineData(TokenIdentity.Ids)]
    [InlineData(TokenIdentity.Bytes)]
    [Trait("Mistake", "token strings encoded again to get ids")]
    public void Align_IdsOfTheStudentsVocabulary_KeepsThemWithTheirSoftTargets(TokenIdentity identity)
    {
        var trace = Trace("hi", ends: true) with { PromptTokenIds = [1, 2, 3] };

        var tokens = Aligner(identity).Align(trace);

        int[] ids = [1, 2, 3, 'h', 'i', StudentFiles.End];
        Assert.Equal(ids, tokens.Ids);
        Assert.Equal((3, 3), (tokens.FirstTrained, tokens.Trained));
        Assert.Equal(trace.Logprobs!.TopIds, tokens.Soft!.Read().Ids);
        Assert.Equal(trace.Logprobs.TopLogprobs, tokens.Soft.Read().Logprobs);
        Assert.Equal(Math.Log(0.125), tokens.Soft.Read().Tail[0], 6);
    }

    [Fact]
    public void Align_EndKeptByTheServer_IsAddedAsACertainty()
    {
        var tokens = Aligner().Align(Trace("hi", ends: false));

        Assert.Equal("hi<|end|>", _student.Text(tokens).Trained);
        Assert.Equal([StudentFiles.End, -1], tokens.Soft!.Read().Ids[^2..]);
        Assert.Equal([0f, None], tokens.Soft.Read().Logprobs[^2..]);
        Assert.Equal(None, tokens.Soft.Read().Tail[^1]);
    }

    [Fact]
    public void Align_EndOfAnotherKind_IsKeptAsTheTeacherDrewIt()
    {
        var trace = Trace("hi", ends: true);
        trace.Logprobs!.TokenIds[^1] = 257;

        Assert.Equal("hi<|stop|>", _student.Text(Aligner().Align(trace)).Trained);
    }

    [Fact]
    public void Align_PromptNotReported_IsRenderedWithTheStudentsTemplate() =>
        Assert.Equal(("u:1+1?;a:", "hi<|end|>"), _student.Text(Aligner().Align(Trace("hi", ends: true))));

    [Theory]
    [InlineData(TokenIdentity.Text, true)]
    [InlineData(TokenIdentity.Ids, false)]
    public void Align_TextAlone_HasTheHardLossAlone(TokenIdentity identity, bool withLogprobs)
    {
        var trace = Trace("hi", ends: true);

        var tokens = Aligner(identity).Align(withLogprobs ? trace : trace with { Logprobs = null });

        Assert.Equal("hi<|end|>", _student.Text(tokens).Trained);
        Assert.Null(tokens.Soft);
    }

    [Fact]
    public void Align_FewerSoftTargets_KeepsTheBestAndWidensTheTail()
    {
        var soft = Aligner(topK: 1).Align(Trace("hi", ends: true)).Soft!.Read();

        Assert.Equal(1, soft.K);
        Assert.Equal(Math.Log(0.25), soft.Tail[0], 6);
    }

    /// <summary>A vocabulary of these two: what was sharpened is undone exactly, p ∝ q^T.</summary>
    [Fact]
    public void Align_LogprobsAfterTemperature_AreTheModelsOwn()
    {
        var dataset = new DatasetDescription
        {
            Teacher = "t",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = "known",
            ChatTemplateHash = _student.Chat.TemplateHash,
            TopK = 2,
            Logprobs = LogprobKind.Processed,
            Temperature = 0.5,
            VocabularySize = 2,
        };
        var aligner = new TokenAligner(_student.Tokenizer, _student.Chat, dataset, "traces", topK: null);

        var soft = aligner.Align(Trace("hi", ends: true)).Soft!.Read();

        var (first, second) = (Math.Sqrt(0.75), Math.Sqrt(0.125));
        Assert.Equal(['h', 'z'], soft.Ids[..2]);
        Assert.Equal(first / (first + second), Math.Exp(soft.Logprobs[0]), 1e-6);
        Assert.Equal(second / (first + second), Math.Exp(soft.Logprobs[1]), 1e-6);
    }

    [Theory]
    [InlineData("<think> h </think>\n\ni", true)]
    [InlineData("hj", false)]
    public void Align_TeacherThatDoesNotTellItsTokenizer_IsBelievedWhereItsIdsSpellItsText(string generation, bool believed)
    {
        var aligner = Aligner(hash: null);
        var trace = Trace("hi", ends: true) with { Generation = generation };

        if (believed)
        {
            Assert.Equal("hi<|end|>", _student.Text(aligner.Align(trace)).Trained);
        }
        else
        {
            var message = Assert.Throws<InvalidInputException>(() => aligner.Align(trace)).Message;
            Assert.Contains("traces: the token ids of trace t1 do not spell its text", message);
        }
    }

    [Fact]
    public void Align_DrawnTokenBeyondTheVocabulary_IsRefusedAndAnAlternativeJoinsTheTail()
    {
        var trace = Trace("hi", ends: true);
        trace.Logprobs!.TopIds[0] = 5000;

        var soft = Aligner(hash: null).Align(trace).Soft!.Read();
        trace.Logprobs.TokenIds[0] = 5000;

        Assert.Equal(('z', -1), (soft.Ids[0], soft.Ids[1]));
        Assert.Equal(Math.Log(0.875), soft.Tail[0], 6);
        Assert.Throws<InvalidInputException>(() => Aligner(hash: null).Align(trace));
    }

    TokenAligner Aligner(TokenIdentity identity = TokenIdentity.Ids, int? topK = null, string? hash = "known") =>
        new(
            _student.Tokenizer,
            _student.Chat,
            new DatasetDescription
            {
                Teacher = "t",
                TokenIdentity = identity,
                TokenizerHash = hash,
                ChatTemplateHash = _student.Chat.TemplateHash,
                TopK = 2,
            },
            "traces",
            topK
        );

    /// <summary>A trace in which each token had probability 3/4 and "z" 1/8.</summary>
    Trace Trace(string text, bool ends)
    {
        int[] ids = [.. _student.Tokenizer.Encode(text), .. ends ? [StudentFiles.End] : Array.Empty<int>()];
        return new Trace
        {
            Id = "t1",
            ProblemId = "p",
            Source = "f",
            Messages = [new ChatMessage("user", "1+1?")],
            Reasoning = "",
            Answer = text,
            Generation = text,
            ExpectedAnswer = "",
            FinishReason = "stop",
            Verdict = "correct",
            Teacher = "t",
            Logprobs = new TokenLogprobs
            {
                K = 2,
                TokenIds = ids,
                Logprobs = [.. ids.Select(_ => MathF.Log(0.75f))],
                TopIds = [.. ids.SelectMany(id => new[] { id, 'z' })],
                TopLogprobs = [.. ids.SelectMany(_ => new[] { MathF.Log(0.75f), MathF.Log(0.125f) })],
            },
        };
    }
}
