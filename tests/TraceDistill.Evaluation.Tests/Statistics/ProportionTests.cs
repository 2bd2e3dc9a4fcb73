using System.Numerics;
using TraceDistill.Evaluation.Statistics;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Statistics;

public sealed class ProportionTests
{
    /// <summary>
    /// The first four are the examples of R. Newcombe, Statistics in Medicine 17 (1998), table I; digits from statsmodels.
    /// </summary>
    [Theory]
    [InlineData(81, 263, 0.2552885198782742, 0.36620957698280004)]
    [InlineData(15, 148, 0.06238639953073628, 0.16048724172330803)]
    [InlineData(0, 20, 0, 0.1611251580528194)]
    [InlineData(1, 29, 0.006113214292762667, 0.17175521879320294)]
    [InlineData(1987, 2000, 0.9889104708274775, 0.9961974035059259)]
    [InlineData(2000, 2000, 0.9980829527187469, 1)]
    public void WilsonInterval_PublishedExamples_Agrees(int successes, int trials, double low, double high)
    {
        var interval = WilsonInterval.Of(successes, trials);
        Assert.Equal(low, interval.Low, 1e-12);
        Assert.Equal(high, interval.High, 1e-12);
    }

    [Fact]
    public void WilsonInterval_NoTrials_SaysNothing() => Assert.Equal(new Interval(0, 1), WilsonInterval.Of(0, 0));

    /// <summary>Expected values from scipy.stats.binomtest.</summary>
    [Theory]
    [InlineData(3, 11, 0.057373046875)]
    [InlineData(25, 61, 0.00013037942991199537)]
    [InlineData(0, 0, 1)]
    [InlineData(5, 5, 1)]
    [InlineData(1, 0, 1)]
    [InlineData(40, 120, 1.7524500188513523e-10)]
    [InlineData(900, 1100, 8.457089535503812e-06)]
    public void McNemar_DiscordantPairs_AgreesWithTheBinomialTest(int onlyFirst, int onlySecond, double expected)
    {
        Assert.Equal(expected, McNemar.ExactPValue(onlyFirst, onlySecond), 1e-9 * expected);
        Assert.Equal(expected, McNemar.ExactPValue(onlySecond, onlyFirst), 1e-9 * expected);
    }

    [Fact]
    public void PassAtK_EverySmallCase_EqualsCountingSubsets()
    {
        for (var samples = 1; samples <= 8; samples++)
        {
            for (var correct = 0; correct <= samples; correct++)
            {
                for (var k = 1; k <= samples; k++)
                {
                    var subsets = Subsets(samples, k).ToList();
                    var expected = subsets.Count(subset => subset.Any(index => index < correct)) / (double)subsets.Count;
                    Assert.Equal(expected, PassAtK.Estimate(samples, correct, k), 1e-12);
                }
            }
        }
    }

    [Fact]
    public void PassAtK_ManySamples_IsTheChanceOfMissingAllTheRightOnes()
    {
        // C(9900, 500) / C(10000, 500) = Π over the 100 right ones of (9500 − i) / (10000 − i)
        var missed = Enumerable.Range(0, 100).Aggregate(1.0, (chance, i) => chance * (9500 - i) / (10_000 - i));
        Assert.Equal(1 - missed, PassAtK.Estimate(10_000, 100, 500), 1e-12);
    }

    [Theory]
    [InlineData(3, 2, 0, 1)]
    [InlineData(3, 2, 2, 0)]
    [InlineData(2, 2, 1, 1)]
    [InlineData(1, 1, 1, 2)]
    [InlineData(0, 3, 2, 1)]
    [InlineData(4, 3, 1, 2)]
    [InlineData(2, 5, 2, 0)]
    public void MajorityVote_EveryK_EqualsCountingSubsets(int correct, int firstWrong, int secondWrong, int unanswered)
    {
        string?[] answers =
        [
            .. Enumerable.Repeat("right", correct),
            .. Enumerable.Repeat("a", firstWrong),
            .. Enumerable.Repeat("b", secondWrong),
            .. Enumerable.Repeat((string?)null, unanswered),
        ];
        for (var k = 1; k <= answers.Length; k++)
        {
            var expected = Subsets(answers.Length, k).Average(subset => Credit([.. subset.Select(index => answers[index])]));
            Assert.Equal(expected, MajorityVote.Estimate(correct, [firstWrong, secondWrong], unanswered, k), 1e-12);
        }
    }

    /// <summary>Two answers, an odd number of draws: the hypergeometric chance of more than half, summed here in whole numbers.</summary>
    [Fact]
    public void MajorityVote_AThousandSamples_IsExactAndQuick()
    {
        var (correct, wrong, k) = (520, 480, 501);
        var wins = BigInteger.Zero;
        for (var votes = k / 2 + 1; votes <= k; votes++)
        {
            wins += Choose(correct, votes) * Choose(wrong, k - votes);
        }

        var expected = Math.Exp(BigInteger.Log(wins) - BigInteger.Log(Choose(correct + wrong, k)));
        Assert.Equal(expected, MajorityVote.Estimate(correct, [wrong], 0, k), 1e-9);

        static BigInteger Choose(int n, int k) => Enumerable.Range(1, k).Aggregate(BigInteger.One, (ways, i) => ways * (n - k + i) / i);
    }

    static double Credit(string?[] votes)
    {
        var groups = votes.OfType<string>().GroupBy(vote => vote).ToList();
        var winners = groups.Where(group => group.Count() == groups.Max(other => other.Count())).Select(group => group.Key).ToList();
        return winners.Contains("right") ? 1.0 / winners.Count : 0;
    }

    static IEnumerable<int[]> Subsets(int n, int k) =>
        Enumerable
            .Range(0, 1 << n)
            .Where(mask => int.PopCount(mask) == k)
            .Select(mask => Enumerable.Range(0, n).Where(i => (mask >> i & 1) == 1).ToArray());
}
