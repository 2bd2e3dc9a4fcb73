using TraceDistill.Inference.Sampling;
using TraceDistill.Inference.Sequences;
using Xunit;

namespace TraceDistill.Inference.Tests.Sampling;

[Trait("Category", "Numeric")]
public class SamplingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(1000)]
    public void Select_AnyLength_EqualsSorting(int length)
    {
        var random = new Random(length);
        float[] logits = [.. Enumerable.Range(0, length).Select(_ => (float)random.Next(40))]; // With many ties.
        var (ids, values) = (new int[20], new float[20]);
        var found = TopSelection.Select(logits, ids, values);

        var expected = Enumerable.Range(0, length).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(20).ToArray();
        Assert.Equal(expected, ids[..found]);
        Assert.Equal(expected.Select(id => logits[id]), values[..found]);
    }

    [Fact]
    public void LogNormalizer_HugeLogits_DoesNotOverflow()
    {
        float[] logits = [10_000, 10_001, -10_000];
        Assert.Equal(10_001 + Math.Log(1 + Math.Exp(-1)), new TokenSampler(3).LogNormalizer(logits), 1e-6);
    }

    /// <summary>Zipf's law over a vocabulary of many blocks, the last one short, with a stretch of tokens that cannot be.</summary>
    [Fact]
    public void DrawMany_ZipfLikeVocabulary_CountsAsItsProbabilities()
    {
        const int vocabulary = 5_000,
            draws = 64,
            rows = 2_000;
        float[] logits =
        [
            .. Enumerable.Range(0, vocabulary).Select(id => id is >= 200 and < 900 ? float.NegativeInfinity : -(float)Math.Log(1 + id)),
        ];
        var sampler = new TokenSampler(vocabulary);
        var normalizer = sampler.LogNormalizer(logits);
        var counts = new double[vocabulary];
        for (var row = 0; row < rows; row++)
        {
            var drawn = sampler.DrawMany(new SampleStream(7, row % 3).AlternativesOf(row), draws).ToArray();
            Assert.Equal(drawn.OrderByDescending(one => one.Count).ThenBy(one => one.Token), drawn);
            Assert.Equal(drawn.Length, drawn.DistinctBy(one => one.Token).Count());
            Assert.Equal(draws, drawn.Sum(one => one.Count));
            foreach (var (token, count) in drawn)
            {
                counts[token] += count;
            }
        }

        const double all = (double)draws * rows;
        Assert.All(Enumerable.Range(0, vocabulary), id =>
        {
            // Five standard deviations of a binomial; where few are expected, of Poisson's law, which has the longer tail.
            var p = Math.Exp(logits[id] - normalizer);
            var bound = 5 * Math.Sqrt(all * p * (1 - p));
            Assert.InRange(counts[id] - (all * p), -bound, p * all >= 25 ? bound : bound + 5);
            Assert.True(p > 0 || counts[id] == 0);
        });
    }

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(0.5, 1, 0)]
    [InlineData(2, 0.8, 0)]
    [InlineData(1, 0, 0)]
    [InlineData(1, 1, 3)]
    [InlineData(1.3, 0.7, 4)]
    public void Sample_EvenlySpacedUniforms_DrawsEachTokenByItsShare(double temperature, double topP, int topK)
    {
        const int Draws = 20_000;
        float[] logits = [0.1f, 2f, -1f, 1.5f, 0.3f, -5f, 1.4f];
        var sampler = new TokenSampler(logits.Length);
        var request = new SequenceRequest
        {
            Prompt = new[] { 0 },
            MaxTokens = 1,
            Temperature = temperature,
            TopP = topP,
            TopK = topK,
        };
        var counts = new double[logits.Length];
        for (var i = 0; i < Draws; i++)
        {
            counts[sampler.Sample(logits, request, (i + 0.5) / Draws)]++;
        }

        var expected = Distribution(logits, temperature, topP, topK);
        for (var id = 0; id < logits.Length; id++)
        {
            Assert.Equal(expected[id], counts[id] / Draws, 2.0 / Draws);
        }
    }

    [Fact]
    public void Sample_NoNucleusOfAFlatDistribution_DependsOnNoEarlierDraw()
    {
        var (fresh, used) = (new TokenSampler(300), new TokenSampler(300));
        var request = new SequenceRequest
        {
            Prompt = new[] { 0 },
            MaxTokens = 1,
            TopP = 0,
        };
        used.Sample([.. Enumerable.Repeat(-1f, 299), 0], request, 0.5);

        Assert.Equal(fresh.Sample(new float[300], request, 0.5), used.Sample(new float[300], request, 0.5));
    }

    [Fact]
    public void Sample_VocabularyOfManyBlocks_ReachesFirstAndLastToken()
    {
        var logits = new float[100_003];
        var sampler = new TokenSampler(logits.Length);
        var request = new SequenceRequest { Prompt = new[] { 0 }, MaxTokens = 1 };

        Assert.Equal(0, sampler.Sample(logits, request, 0));
        Assert.Equal(logits.Length / 2, sampler.Sample(logits, request, 0.500001));
        Assert.Equal(logits.Length - 1, sampler.Sample(logits, request, 0.9999999));
    }

    [Fact]
    public void Uniform_ManyPositions_IsUniformAndNeverOne()
    {
        var stream = new SampleStream(7, 0);
        double[] numbers = [.. Enumerable.Range(0, 10_000).Select(stream.Uniform)];

        Assert.All(numbers, number => Assert.InRange(number, 0, Math.BitDecrement(1.0)));
        Assert.Equal(0.5, numbers.Average(), 0.01);
        Assert.Equal(1.0 / 12, numbers.Average(number => (number - 0.5) * (number - 0.5)), 0.002);
    }

    /// <summary>Temperature, then top-k, then top-p, each on the whole sorted list.</summary>
    static double[] Distribution(float[] logits, double temperature, double topP, int topK)
    {
        var p = logits.Select(logit => Math.Exp(logit / temperature)).ToArray();
        var order = Enumerable.Range(0, p.Length).OrderByDescending(id => p[id]).Take(topK == 0 ? p.Length : topK).ToList();
        var mass = order.Sum(id => p[id]);
        var kept = new List<int>();
        for (var sum = 0.0; kept.Count < order.Count && (kept.Count == 0 || sum < topP * mass); sum += p[kept[^1]])
        {
            kept.Add(order[kept.Count]);
        }

        var total = kept.Sum(id => p[id]);
        return [.. Enumerable.Range(0, p.Length).Select(id => kept.Contains(id) ? p[id] / total : 0)];
    }
}
