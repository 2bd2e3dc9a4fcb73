using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

/// <summary>
/// Expected numbers come from whole distributions in float64: the model's own, and the softmax of its logits over the temperature.
/// </summary>
public class TemperatureCorrectionTests
{
    [Theory]
    [InlineData(0.6)]
    [InlineData(1.5)]
    public void Apply_AlternativesThatAreTheWholeVocabulary_GivesTheModelsOwnDistribution(double temperature)
    {
        var model = Random(seed: 1, vocabulary: 12);

        var corrected = Correct(model, temperature, k: 12, drawn: 7, out var order);

        Assert.All(order.Index(), entry => Assert.Equal(Math.Log(model[entry.Item]), corrected.TopLogprobs[entry.Index], 1e-5));
        Assert.Equal(Math.Log(model[7]), corrected.Logprobs[0], 1e-5);
    }

    [Theory]
    [InlineData(0.3)]
    [InlineData(0.7)]
    [InlineData(2)]
    public void Apply_HeadOfADistribution_KeepsTheRatiosExactly(double temperature)
    {
        var model = Random(seed: 2, vocabulary: 2000);

        var corrected = Correct(model, temperature, k: 20, drawn: 1234, out var order);

        for (var i = 1; i < 20; i++)
        {
            Assert.Equal(Math.Log(model[order[0]] / model[order[i]]), corrected.TopLogprobs[0] - corrected.TopLogprobs[i], 2e-5);
        }

        Assert.Equal(Math.Log(model[order[0]] / model[1234]), corrected.TopLogprobs[0] - corrected.Logprobs[0], 2e-5);
    }

    [Theory]
    [InlineData(0.5, 1.2, 20)]
    [InlineData(0.7, 2.0, 20)]
    [InlineData(0.7, 1.5, 1)]
    [InlineData(1.6, 1.5, 5)]
    public void Apply_RanksThatFollowZipfsLaw_FindsTheProbabilityOutsideTheAlternatives(double temperature, double exponent, int k)
    {
        double[] weights = [.. Enumerable.Range(1, 50_000).Select(rank => Math.Pow(rank, -exponent))];
        var total = weights.Sum();
        double[] model = [.. weights.Select(weight => weight / total)];

        var corrected = Correct(model, temperature, k, drawn: 0, out _);

        var outside = model.Skip(k).Sum();
        Assert.Equal(outside, 1 - corrected.TopLogprobs.Sum(logprob => Math.Exp(logprob)), outside * 0.02);
    }

    /// <summary>As few tokens as the mass can be spread on, and all alike: no shape of the tail gives less or more.</summary>
    [Theory]
    [InlineData(0.4)]
    [InlineData(0.8)]
    public void Apply_AnyHead_EstimatesTheTailBetweenItsBounds(double temperature)
    {
        const int Vocabulary = 1000,
            K = 8;
        var random = new Random(3);
        for (var round = 0; round < 200; round++)
        {
            double[] head = [.. Enumerable.Range(0, K).Select(_ => Math.Pow(random.NextDouble(), 6) + 1e-6).OrderDescending()];
            var given = random.NextDouble() * 0.999;
            double[] q = [.. head.Select(weight => weight / head.Sum() * given)];
            var mass = Math.Min(1 - given, (Vocabulary - K) * q[^1]);
            q = [.. q.Select(probability => probability / (given + mass))];
            mass /= given + mass;

            var corrected = Apply([.. q.Select(probability => (float)Math.Log(probability))], temperature, Vocabulary, drawn: 0);

            var (inside, tail) = (
                q.Sum(probability => Math.Pow(probability, temperature)),
                1 - corrected.TopLogprobs.Sum(logprob => Math.Exp(logprob))
            );
            var (least, most) = (
                mass * Math.Pow(q[^1], temperature - 1),
                Math.Pow(Vocabulary - K, 1 - temperature) * Math.Pow(mass, temperature)
            );
            Assert.InRange(tail / (1 - tail), (least / inside * 0.98) - 1e-5, (most / inside * 1.02) + 1e-5);
        }
    }

    /// <summary>What it is for: nearer to the model's own distribution than what the server reported, over top k and tail.</summary>
    [Theory]
    [InlineData(0.5)]
    [InlineData(0.8)]
    public void Apply_RealisticHead_LeavesATenthOfTheDivergenceAtMost(double temperature)
    {
        var model = Random(seed: 4, vocabulary: 30_000);
        const int K = 20;

        var corrected = Correct(model, temperature, K, drawn: 5, out var order);

        var reported = Sharpened(model, temperature);
        double[] own = [.. order.Select(id => model[id])];
        double before = Divergence(own, [.. order.Select(id => reported[id])]),
            after = Divergence(own, [.. corrected.TopLogprobs.Select(logprob => Math.Exp(logprob))]);
        Assert.True(after < before / 10, $"{after} against {before}");
    }

    /// <summary>Exp(−750) is zero in float64, and 7.5 is no more than what lies between a best token and the twentieth.</summary>
    [Fact]
    public void Apply_TemperatureNearZero_KeepsTheRatiosAndADistribution()
    {
        float[] top = [-1e-6f, .. Enumerable.Range(1, 19).Select(i => -50f * i)];

        var corrected = Apply(top, 0.01, vocabulary: 1000, drawn: 0);

        // Nothing is known of the 980 others but that each is no likelier than the last of the twenty.
        var sum = top.Sum(logprob => Math.Exp(0.01 * logprob)) + (980 * Math.Exp(0.01 * top[^1]));
        Assert.All(top.Zip(corrected.TopLogprobs), pair => Assert.Equal((0.01 * pair.First) - Math.Log(sum), pair.Second, 1e-5));
    }

    /// <summary>
    /// The definition, term by term: the tail q_r = q_n (r/n)^(−s) with the largest s ≥ 0 that has its mass. Rows are as servers
    /// compute them, in float32, so that at low temperatures rounding decides what mass is left.
    /// </summary>
    [Fact]
    public void Apply_RandomRowsOfAnyTemperature_FollowsTheDefinitionAndGivesADistribution()
    {
        const int Vocabulary = 200;
        var random = new Random(6);
        var (compared, vanishing) = (0, 0);
        for (var round = 0; round < 400; round++)
        {
            var temperature = 0.005 * Math.Pow(400, random.NextDouble());
            var slope = 1 + (4 * random.NextDouble());
            var logits = Enumerable.Range(1, Vocabulary).Select(rank => random.NextDouble() - (slope * Math.Log(rank)));
            float[] scaled = [.. logits.OrderDescending().Select(logit => (float)(logit / temperature))];
            var normalizer = (float)(scaled[0] + Math.Log(scaled.Sum(value => Math.Exp(value - scaled[0]))));
            normalizer += Math.Abs(normalizer) * random.Next(3) * MathF.ScaleB(1, -23);
            float[] reported = [.. scaled.Select(value => Math.Min(0, value - normalizer))];
            var (k, drawn) = (random.Next(1, 21), random.Next(40));
            var top = reported[..k];

            var corrected = new TemperatureCorrection(temperature, Vocabulary).Apply(
                new TokenLogprobs
                {
                    K = k,
                    TokenIds = [drawn],
                    Logprobs = [reported[drawn]],
                    TopIds = [.. Enumerable.Range(0, k)],
                    TopLogprobs = top,
                }
            );

            float[] told = drawn < k ? top : [.. top, reported[drawn]];
            float[] found = drawn < k ? corrected.TopLogprobs : [.. corrected.TopLogprobs, corrected.Logprobs[0]];
            Assert.All(found, logprob => Assert.InRange(logprob, float.MinValue, 1e-6f));
            Assert.InRange(found.Sum(logprob => Math.Exp(logprob)), 1e-12, 1 + 1e-6);
            var mass = 1 - told.Sum(logprob => Math.Exp(logprob));
            if (Math.Abs(mass) > 1e-9)
            {
                var expected = LogPartition(temperature, told, k, mass, Vocabulary - told.Length);
                // The sum of ranks by an integral is off by less than this.
                Assert.All(told.Zip(found), pair => Assert.Equal((temperature * pair.First) - expected, pair.Second, 2e-3));
                (compared, vanishing) = (compared + 1, vanishing + (Math.Exp(top[^1]) == 0 ? 1 : 0));
            }
        }

        Assert.True(compared > 200 && vanishing > 10, $"{compared} compared, {vanishing} with a last alternative that vanishes");
    }

    [Theory]
    [InlineData(LogprobKind.Raw, 0.6, false)]
    [InlineData(LogprobKind.Processed, 1, false)]
    [InlineData(LogprobKind.Processed, 0, false)]
    [InlineData(LogprobKind.Processed, 0.6, true)]
    public void For_DataSet_UndoesATemperatureThatTheLogprobsAreOf(LogprobKind kind, double temperature, bool undone) =>
        Assert.Equal(
            undone,
            TemperatureCorrection.For(
                new DatasetDescription
                {
                    Teacher = "t",
                    TokenIdentity = TokenIdentity.Ids,
                    Logprobs = kind,
                    Temperature = temperature,
                },
                100
            )
                is not null
        );

    [Fact]
    public void Apply_RowsWithoutAlternativesOrTail_StayDistributions()
    {
        var logprobs = new TokenLogprobs
        {
            K = 2,
            TokenIds = [0, 1],
            Logprobs = [0, 0],
            TopIds = [-1, -1, 1, -1],
            TopLogprobs = [float.NegativeInfinity, float.NegativeInfinity, 0, float.NegativeInfinity],
        };

        var corrected = new TemperatureCorrection(0.5, 10).Apply(logprobs);

        Assert.Equal([0f, 0f], corrected.Logprobs);
        Assert.Equal([float.NegativeInfinity, float.NegativeInfinity, 0, float.NegativeInfinity], corrected.TopLogprobs);
    }

    static double LogPartition(double temperature, float[] told, int n, double mass, int ranks)
    {
        List<double> terms = [.. told.Select(logprob => temperature * logprob)];
        if (mass > 0)
        {
            double[] ratios = [.. Enumerable.Range(n + 1, ranks).Select(rank => Math.Log((double)rank / n))];
            double Tail(double s) => told[n - 1] + LogSum([.. ratios.Select(ratio => -s * ratio)]);
            var (low, high) = (0.0, 1e5);
            for (var i = 0; i < 60; i++)
            {
                var middle = (low + high) / 2;
                (low, high) = Tail(middle) > Math.Log(mass) ? (middle, high) : (low, middle);
            }

            terms.AddRange(ratios.Select(ratio => temperature * (told[n - 1] - (low * ratio))));
        }

        return LogSum([.. terms]);
    }

    static double LogSum(double[] terms)
    {
        var largest = terms.Max();
        return largest + Math.Log(terms.Sum(term => Math.Exp(term - largest)));
    }

    static double Divergence(double[] p, double[] q)
    {
        double[] Whole(double[] head) => [.. head, 1 - head.Sum()];
        return Whole(p).Zip(Whole(q), (a, b) => a * Math.Log(a / b)).Sum();
    }

    /// <summary>Logits as language models have them: a few large ones, the others falling off with the logarithm of the rank.</summary>
    static double[] Random(int seed, int vocabulary)
    {
        var random = new Random(seed);
        double[] weights =
        [
            .. Enumerable
                .Range(1, vocabulary)
                .Select(rank => Math.Exp((-1.6 * Math.Log(rank)) + (0.5 * (random.NextDouble() - 0.5))))
                .OrderBy(_ => random.Next()),
        ];
        var sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }

    static double[] Sharpened(double[] model, double temperature)
    {
        double[] powers = [.. model.Select(probability => Math.Pow(probability, 1 / temperature))];
        var sum = powers.Sum();
        return [.. powers.Select(power => power / sum)];
    }

    static TokenLogprobs Correct(double[] model, double temperature, int k, int drawn, out int[] order)
    {
        var reported = Sharpened(model, temperature);
        order = [.. Enumerable.Range(0, model.Length).OrderByDescending(id => model[id]).Take(k)];
        var logprobs = new TokenLogprobs
        {
            K = k,
            TokenIds = [drawn],
            Logprobs = [(float)Math.Log(reported[drawn])],
            TopIds = order,
            TopLogprobs = [.. order.Select(id => (float)Math.Log(reported[id]))],
        };
        return new TemperatureCorrection(temperature, model.Length).Apply(logprobs);
    }

    static TokenLogprobs Apply(float[] top, double temperature, int vocabulary, int drawn) =>
        new TemperatureCorrection(temperature, vocabulary).Apply(
            new TokenLogprobs
            {
                K = top.Length,
                TokenIds = [drawn],
                Logprobs = [top[drawn]],
                TopIds = [.. Enumerable.Range(0, top.Length)],
                TopLogprobs = top,
            }
        );
}
