using TorchSharp;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Models;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Tests.Objectives;
using TraceDistill.Training.Tests.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Distillation;

[Trait("Category", "Numeric")]
public sealed class TraceScorerTests
{
    /// <summary>
    /// Against the definitions in float64: KL over top k and tail, log-probability of the drawn token, the largest probability.
    /// </summary>
    [Fact]
    public void Score_Trace_GivesWhatTheReferenceModelSays()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var traces = new TraceFolder();
        var trace = traces.Create(1) with { PromptTokenIds = [3, 1, 4, 1, 5] };
        int[] ids = [9, 2, 6, 5, 3],
            top = [9, 7, 5, 2, 6, 5, 8, 1, 6, 5, 3, 7, 1, 2, 3, 4, 9, 3, 1, 0];
        float[] logprobs = [.. ids.SelectMany(_ => new[] { 0.5f, 0.2f, 0.1f, 0.1f }.Select(share => MathF.Log(share)))];
        trace = trace with
        {
            Logprobs = new TokenLogprobs
            {
                K = 4,
                TokenIds = ids,
                Logprobs = new float[5],
                TopIds = top,
                TopLogprobs = logprobs,
            },
        };
        using var parameters = SampleSequences.Parameters();

        var scores = Assert.Single(Score(parameters, [trace]));

        var logits = new ReferenceLlama(parameters).Logits([3, 1, 4, 1, 5, .. ids]).data<double>().ToArray().Chunk(40).ToArray();
        for (var t = 0; t < ids.Length; t++)
        {
            var q = ReferenceLoss.Softmax(logits[4 + t]);
            var kl = ReferenceLoss.Of(
                logits[4 + t],
                ids[t],
                top[(4 * t)..(4 * t + 4)],
                logprobs[..4],
                MathF.Log(0.1f),
                alpha: 1,
                temperature: 1,
                tailBucket: true
            );
            // A logit, the normalizer that is taken from it, and the sum over the vocabulary.
            var tolerance = 3 * Rounding.OfForward(parameters.Configuration, 40) * logits[4 + t].Max(Math.Abs);
            Assert.Equal(kl, scores[t].Kl, tolerance);
            Assert.Equal(Math.Log(q[ids[t]]), scores[t].SampledLogprob, tolerance);
            Assert.Equal(q.Max(), scores[t].TopProbability, tolerance);
            Assert.Equal(Array.IndexOf(q, q.Max()) == ids[t], scores[t].TopIsSampled);
        }
    }

    /// <summary>Two tokens of three are what the reference model finds likeliest, and every other one is among the reported.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(20)]
    public void Score_TokensThatAreTheLikeliest_AgreeAtEveryOne(int k)
    {
        const int Tokens = 50;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TraceFolder();
        using var parameters = SampleSequences.Parameters();
        var reference = new ReferenceLlama(parameters);
        var traces = Enumerable.Range(0, 8).Select(Draw).ToList();
        using var scorer = new TraceScorer(parameters);

        var scores = scorer.Score(traces, TestContext.Current.CancellationToken).ToList();

        Assert.Equal(
            Enumerable.Repeat(Enumerable.Range(0, Tokens).Select(t => t % 3 != 2), traces.Count),
            scores.Select(tokens => tokens.Select(token => token.TopIsSampled))
        );

        Trace Draw(int seed)
        {
            List<int> ids = [seed, 3, 1];
            List<int> top = [];
            for (var t = 0; t < Tokens; t++)
            {
                var logits = reference.Logits([.. ids]).data<double>().ToArray()[^40..];
                int[] order = [.. Enumerable.Range(0, 40).OrderByDescending(id => logits[id])];
                var drawn = order[t % 3 == 2 ? 1 : 0];
                ids.Add(drawn);
                var others = order.Reverse().Where(id => id != drawn);
                top.AddRange(t % 2 == 0 ? others.Take(k) : others.Take(k - 1).Append(drawn));
            }

            return folder.Create(1) with
            {
                PromptTokenIds = [.. ids.Take(3)],
                Logprobs = new TokenLogprobs
                {
                    K = k,
                    TokenIds = [.. ids.Skip(3)],
                    Logprobs = new float[Tokens],
                    TopIds = [.. top],
                    TopLogprobs = [.. top.Select(_ => MathF.Log(0.9f / k))],
                },
            };
        }
    }

    /// <summary>What the model's template adds, such as a think tag, is context: the teacher told nothing of it.</summary>
    [Fact]
    public void Score_AlignedTrace_ScoresTheTokensThatTheTeacherToldOf()
    {
        using var traces = new TraceFolder();
        using var parameters = SampleSequences.Parameters();
        var soft = new SoftTargets
        {
            K = 1,
            Ids = [-1, 6, 5],
            Logprobs = [float.NegativeInfinity, MathF.Log(0.5f), MathF.Log(0.25f)],
            Tail = [0, MathF.Log(0.5f), MathF.Log(0.75f)],
        };

        var scores = Assert.Single(Score(parameters, [traces.Create(1)], _ => new TraceTokens([3, 1, 9, 6, 5], 2, soft)));
        var plain = Assert.Single(Score(parameters, [traces.Create(1)], _ => new TraceTokens([3, 1, 9, 6, 5], 3, soft.WithoutFirst(1))));

        Assert.Equal(2, scores.Length);
        // Products of another number of rows may be summed in another order.
        var tolerance = 2 * Rounding.OfForward(parameters.Configuration, 5);
        Assert.Equal(plain, scores, (a, b) =>
            Math.Abs(a.Kl - b.Kl) < tolerance
            && Math.Abs(a.SampledLogprob - b.SampledLogprob) < tolerance
            && Math.Abs(a.TopProbability - b.TopProbability) < tolerance
            && a.TopIsSampled == b.TopIsSampled
        );
    }

    /// <summary>A code that cannot be decoded shows whether somebody tries: the reader of shards has done so.</summary>
    [Fact]
    public void Score_SoftTargetsDecodedByTheReader_AreNotDecodedAgain()
    {
        using var traces = new TraceFolder();
        using var parameters = SampleSequences.Parameters();
        int[] top = [9, 7, 2, 6];
        var plain = new TokenLogprobs
        {
            K = 2,
            TokenIds = [9, 2],
            Logprobs = new float[2],
            TopIds = top,
            TopLogprobs = [.. top.Select(_ => MathF.Log(0.4f))],
        };
        var trace = traces.Create(1);

        var scores = Score(
            parameters,
            [trace with { Logprobs = plain }, trace with { Logprobs = plain with { Encoded = [0xFF] } }],
            told => new TraceTokens([3, 1, 9, 2], 2, EncodedSoftTargets.From(told.Logprobs!, new SoftTargetChanges()))
        );

        Assert.Equal(2, scores[0].Length);
        Assert.Equal(scores[0], scores[1]);
    }

    [Fact]
    public void Visit_GradientsWanted_StillMakesNone()
    {
        using var scope = NewDisposeScope();
        using var parameters = SampleSequences.Parameters();
        var weights = TrainedWeights.None(parameters);
        var batch = PackedBatch.Create(SampleSequences.Create(2));
        var wanted = new List<bool>();

        TestDevice.With(weights, () =>
        {
            using var recorded = enable_grad();
            using var decoder = new Decoder(weights);
            var hidden = decoder.Forward(new TokenBatch(batch.Ids, batch.Lengths, batch.Rows));
            Assert.False(hidden.requires_grad);
            new ChunkedHead(decoder).Visit(hidden, batch, (_, student, targets) =>
                wanted.AddRange(student.Drawn.requires_grad, new KlForward().Loss(student, targets, TrainingPoint.First).requires_grad)
            );
        });

        Assert.NotEmpty(wanted);
        Assert.DoesNotContain(true, wanted);
    }

    /// <summary>Training takes such traces for the hard loss, so an evaluation on the same data set must not fall over them.</summary>
    [Fact]
    public void Score_TracesThatCannotBeCompared_AreEmptyAndTheOthersScored()
    {
        using var traces = new TraceFolder();
        using var parameters = SampleSequences.Parameters();
        int[] ids = [9, 2],
            top = [9, 7, 2, 6];
        var whole = traces.Create(1) with
        {
            PromptTokenIds = [3, 1],
            Logprobs = new TokenLogprobs
            {
                K = 2,
                TokenIds = ids,
                Logprobs = new float[2],
                TopIds = top,
                TopLogprobs = [.. top.Select(_ => MathF.Log(0.4f))],
            },
        };
        var text = whole with { Logprobs = null };
        var withoutPrompt = whole with { PromptTokenIds = [] };
        var tooLong = whole with { PromptTokenIds = new int[parameters.Configuration.MaxPositionEmbeddings - 1] };
        var foreign = traces.Create(1);

        var scores = Score(parameters, [text, withoutPrompt, tooLong, foreign, whole]);

        Assert.Equal([0, 0, 0, 0, 2], scores.Select(tokens => tokens.Length));
    }

    static List<TokenScore[]> Score(ModelParameters parameters, Trace[] traces, Func<Trace, TraceTokens>? align = null) =>
        TestDevice.With(TrainedWeights.None(parameters), () =>
        {
            using var scorer = new TraceScorer(parameters, align);
            return scorer.Score(traces, TestContext.Current.CancellationToken).ToList();
        });
}
