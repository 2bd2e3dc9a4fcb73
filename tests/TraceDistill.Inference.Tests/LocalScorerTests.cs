using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Options;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Inference.Tests;

[Trait("Category", "Numeric")]
public class LocalScorerTests
{
    const int K = 6;

    static readonly EngineOptions Small = new()
    {
        Threads = 2,
        MaxRunning = 8,
        CacheBytes = 4 << 20,
        PromptTokensPerStep = 8,
        Device = TestDevice.Choice,
    };

    static readonly EngineOptions Kernels = Small with { UsesDecoder = false, Device = new DeviceChoice(DeviceChoice.CpuWord) };

    /// <summary>Row t is the distribution that token t was drawn from: nothing is off by one, no row is before the first.</summary>
    [Theory]
    [InlineData(1, false)]
    [InlineData(17, false)]
    [InlineData(52, false)]
    [InlineData(59, true)]
    public async Task ScoreAsync_TextOfSixtyTokens_GivesTheRowsOfAnIndependentForwardPass(int first, bool byTheDecoder)
    {
        using var parameters = TinyModel.Create();
        using var scorer = new LocalScorer(new GenerationEngine(parameters, Small with { UsesDecoder = byTheDecoder }));
        var tokens = TinyModel.Prompt(60, 2);

        var scores = await scorer.ScoreAsync(new ScoringRequest("a", tokens, first, K), Cancel);

        var logits = new ReferenceDecoder(parameters).Logits(tokens);
        Assert.Equal(tokens[first..], scores.TokenIds);
        Assert.Equal(K, scores.K);
        for (var t = 0; t < scores.Count; t++)
        {
            var expected = ReferenceDecoder.LogSoftmax(logits[first + t - 1]);
            Assert.Equal(expected[tokens[first + t]], scores.Logprobs[t], 1e-4);
            var best = expected.Index().OrderByDescending(entry => entry.Item).Take(K).ToList();
            Assert.Equal(best.Select(entry => entry.Index), scores.TopIds[(t * K)..((t + 1) * K)]);
            Assert.All(best.Index(), entry => Assert.Equal(entry.Item.Item, scores.TopLogprobs[(t * K) + entry.Index], 1e-4));
        }
    }

    /// <summary>Texts behind one prompt work it out once, and a text scores the same bits whatever is scored beside it.</summary>
    [Fact]
    public async Task ScoreAsync_ManyTextsOfOnePrompt_GiveEachTheBitsThatItHasAlone()
    {
        using var parameters = TinyModel.Create();
        var prompt = TinyModel.Prompt(37, 1);
        var texts = Enumerable
            .Range(0, 12)
            .Select(i => new ScoringRequest($"{i}", [.. prompt, .. TinyModel.Prompt(5 + (7 * i), i)], prompt.Length, K))
            .ToList();

        using var together = new LocalScorer(new GenerationEngine(parameters, Kernels));
        var scores = await Task.WhenAll(texts.Select(text => together.ScoreAsync(text, Cancel)));

        foreach (var (text, score) in texts.Zip(scores))
        {
            using var alone = new LocalScorer(new GenerationEngine(parameters, Kernels with { Threads = 1, PromptTokensPerStep = 64 }));
            var expected = await alone.ScoreAsync(text, Cancel);
            Assert.Equal(expected.Logprobs, score.Logprobs);
            Assert.Equal(expected.TopIds, score.TopIds);
            Assert.Equal(expected.TopLogprobs, score.TopLogprobs);
        }
    }

    [Fact]
    public async Task ScoreAsync_TextLongerThanTheContext_CannotBeScoredWhileOthersCan()
    {
        using var parameters = TinyModel.Create();
        using var scorer = new LocalScorer(new GenerationEngine(parameters, Small));

        var refusal = await Assert.ThrowsAsync<UnscorableTextException>(() =>
            scorer.ScoreAsync(new ScoringRequest("long", TinyModel.Prompt(161, 1), 3, K), Cancel)
        );

        Assert.Equal(UnscorableTextException.TooLong, refusal.Reason);
        Assert.Contains("text long: the prompt has 161 tokens, but the model's context is 160", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(157, (await scorer.ScoreAsync(new ScoringRequest("fits", TinyModel.Prompt(160, 1), 3, K), Cancel)).Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(11)]
    public async Task ScoreAsync_FirstTokenThatNothingPredicts_IsRefused(int first)
    {
        using var parameters = TinyModel.Create();
        using var scorer = new LocalScorer(new GenerationEngine(parameters, Small));

        await Assert.ThrowsAsync<InvalidInputException>(() =>
            scorer.ScoreAsync(new ScoringRequest("a", TinyModel.Prompt(10, 1), first, K), Cancel)
        );
    }

    static CancellationToken Cancel => TestContext.Current.CancellationToken;
}
