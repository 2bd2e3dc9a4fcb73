using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Probe;
using Xunit;

namespace TraceDistill.Teachers.Tests.Probe;

/// <summary>Answers of a made-up model whose distributions are known, as they are and as servers have been seen to spoil them.</summary>
public sealed class LogprobCheckTests
{
    const int K = 5;
    const int Vocabulary = 50;

    [Theory]
    [InlineData(2.0, 1.0)]
    [InlineData(6.0, 1.0)]
    [InlineData(40.0, 1.0)]
    [InlineData(6.0, 0.5)]
    [InlineData(6.0, 0.0)]
    [InlineData(40.0, 0.0)]
    public void Problem_AnswersOfAModel_HaveNone(double sharpness, double temperature)
    {
        for (var seed = 0; seed < 200; seed++)
        {
            Assert.Null(
                LogprobCheck.Problem(
                    Draw(seed, tokens: 5 + (seed * 2), sharpness, temperature),
                    new SamplingSettings { Temperature = temperature, TopLogprobs = K }
                )
            );
        }
    }

    [Fact]
    public void Problem_ModelThatIsSureOfEachToken_HasNoneThoughItsLogprobsAreZeroInFloat32()
    {
        var sure = Draw(seed: 1, tokens: 300, sharpness: 200, temperature: 1);

        Assert.True(sure.Logprobs.Count(logprob => logprob == 0) > 150);
        Assert.Null(LogprobCheck.Problem(sure, new SamplingSettings { TopLogprobs = K }));
    }

    [Theory]
    [InlineData("made-up", 1)]
    [InlineData("made-up", 4)]
    [InlineData("made-up", 0)]
    public void Problem_SpeculatedTokensWithZeroAndNothingElse_AreMadeUp(string expected, int everyOther)
    {
        // everyOther = n leaves each n-th row as the model has it; 0 leaves the first alone.
        var spoiled = Draw(seed: 2, tokens: 80, sharpness: 6, temperature: 1);
        for (var t = 1; t < spoiled.Count; t++)
        {
            if (everyOther <= 1 || t % everyOther != 0)
            {
                spoiled.Logprobs[t] = 0;
                Set(spoiled, t, everyOther == 0 ? [] : [(spoiled.TokenIds[t], 0)]);
            }
        }

        Assert.Contains(expected, LogprobCheck.Problem(spoiled, new SamplingSettings { TopLogprobs = K }));
    }

    [Fact]
    public void Problem_NucleusOrTopK_MayLeaveOneTokenAlone()
    {
        var cut = Draw(seed: 3, tokens: 80, sharpness: 6, temperature: 1);
        for (var t = 0; t < 40; t++)
        {
            (cut.TokenIds[t], cut.Logprobs[t]) = (cut.TopIds[t * K], 0);
            Set(cut, t, [(cut.TokenIds[t], 0)]);
        }

        Assert.Null(LogprobCheck.Problem(cut, new SamplingSettings { TopP = 0.5, TopLogprobs = K }));
        Assert.Null(LogprobCheck.Problem(cut, new SamplingSettings { ExtraBody = """{"top_k":5}""", TopLogprobs = K }));
        Assert.Null(LogprobCheck.Problem(cut, new SamplingSettings { Temperature = 0.01, TopLogprobs = K }));
        Assert.NotNull(
            LogprobCheck.Problem(
                cut,
                new SamplingSettings { ExtraBody = """{"chat_template_kwargs":{"enable_thinking":false}}""", TopLogprobs = K }
            )
        );
    }

    [Fact]
    public void Problem_AlternativesOfTheTokenBefore_AreContradicted()
    {
        var shifted = Draw(seed: 4, tokens: 80, sharpness: 6, temperature: 1);
        var (ids, values) = ((int[])shifted.TopIds.Clone(), (float[])shifted.TopLogprobs.Clone());
        for (var i = K; i < ids.Length; i++)
        {
            (shifted.TopIds[i], shifted.TopLogprobs[i]) = (ids[i - K], values[i - K]);
        }

        Assert.Contains("contradict", LogprobCheck.Problem(shifted, new SamplingSettings { TopLogprobs = K }));
    }

    [Fact]
    public void Problem_WholeRowsOfTheTokenBefore_AreSeenByTheirMisses()
    {
        // Each row is whole in itself: the drawn token's logprob is the one that the other row has for it.
        var shifted = Draw(seed: 5, tokens: 200, sharpness: 6, temperature: 1);
        var ids = (int[])shifted.TokenIds.Clone();
        for (var t = 1; t < ids.Length; t++)
        {
            shifted.TokenIds[t] = ids[t - 1];
            shifted.Logprobs[t] = -12;
            var row = Enumerable
                .Range(0, K - 1)
                .Select(i => (shifted.TopIds[(t * K) + i], shifted.TopLogprobs[(t * K) + i]))
                .Where(entry => entry.Item1 != ids[t - 1]);
            Set(shifted, t, [.. row, (ids[t - 1], -12f)]);
        }

        Assert.Contains("not those of the tokens drawn", LogprobCheck.Problem(shifted, new SamplingSettings { TopLogprobs = K }));
    }

    [Fact]
    public void Problem_TheSameAlternativesInEveryRow_AreSeen()
    {
        // Three tokens in turn, each of which the one row has.
        var repeated = Draw(seed: 6, tokens: 60, sharpness: 2, temperature: 1);
        for (var t = 0; t < repeated.Count; t++)
        {
            Set(repeated, t, [(1, -0.9f), (2, -1.1f), (3, -1.9f)]);
            (repeated.TokenIds[t], repeated.Logprobs[t]) = (1 + (t % 3), new[] { -0.9f, -1.1f, -1.9f }[t % 3]);
        }

        Assert.Contains("the same alternatives", LogprobCheck.Problem(repeated, new SamplingSettings { TopLogprobs = K }));
    }

    [Fact]
    public void Problem_ModelInALoopOfOneToken_HasNone()
    {
        var loop = Draw(seed: 7, tokens: 60, sharpness: 6, temperature: 0);
        for (var t = 1; t < loop.Count; t++)
        {
            (loop.TokenIds[t], loop.Logprobs[t]) = (loop.TokenIds[0], loop.Logprobs[0]);
            Set(loop, t, [.. Enumerable.Range(0, K).Select(i => (loop.TopIds[i], loop.TopLogprobs[i]))]);
        }

        Assert.Null(LogprobCheck.Problem(loop, new SamplingSettings { TopLogprobs = K }));
    }

    [Fact]
    public void Problem_OneTokenWithoutAlternatives_IsNone()
    {
        // As vLLM was seen to end answers: a last token at the floor, with nothing beside it.
        var answer = Draw(seed: 8, tokens: 30, sharpness: 6, temperature: 1);
        answer.Logprobs[^1] = -9999;
        Set(answer, answer.Count - 1, []);

        Assert.Null(LogprobCheck.Problem(answer, new SamplingSettings { TopLogprobs = K }));
    }

    /// <summary>Softmax of Gaussian logits in float64, rounded to float32; each token drawn from it at a temperature.</summary>
    static TokenLogprobs Draw(int seed, int tokens, double sharpness, double temperature)
    {
        var random = new Random(seed);
        var (ids, logprobs, topIds, topLogprobs) = (new int[tokens], new float[tokens], new int[tokens * K], new float[tokens * K]);
        for (var t = 0; t < tokens; t++)
        {
            var logits = Enumerable
                .Range(0, Vocabulary)
                .Select(_ => sharpness * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))
                .ToArray();
            var all = LogSoftmax(logits);
            var order = Enumerable.Range(0, Vocabulary).OrderByDescending(id => all[id]).ToArray();
            ids[t] =
                temperature == 0 ? order[0] : Sample(LogSoftmax([.. logits.Select(logit => logit / temperature)]), random.NextDouble());
            logprobs[t] = (float)all[ids[t]];
            for (var i = 0; i < K; i++)
            {
                (topIds[(t * K) + i], topLogprobs[(t * K) + i]) = (order[i], (float)all[order[i]]);
            }
        }

        return new TokenLogprobs
        {
            K = K,
            TokenIds = ids,
            Logprobs = logprobs,
            TopIds = topIds,
            TopLogprobs = topLogprobs,
        };
    }

    static double[] LogSoftmax(double[] logits)
    {
        var most = logits.Max();
        var sum = most + Math.Log(logits.Sum(logit => Math.Exp(logit - most)));
        return [.. logits.Select(logit => logit - sum)];
    }

    static int Sample(double[] logprobs, double point)
    {
        for (var id = 0; id < logprobs.Length; id++)
        {
            point -= Math.Exp(logprobs[id]);
            if (point < 0)
            {
                return id;
            }
        }

        return Array.IndexOf(logprobs, logprobs.Max());
    }

    static void Set(TokenLogprobs logprobs, int t, IReadOnlyList<(int Id, float Logprob)> row)
    {
        for (var i = 0; i < K; i++)
        {
            (logprobs.TopIds[(t * K) + i], logprobs.TopLogprobs[(t * K) + i]) = i < row.Count ? row[i] : (-1, float.NegativeInfinity);
        }
    }
}
