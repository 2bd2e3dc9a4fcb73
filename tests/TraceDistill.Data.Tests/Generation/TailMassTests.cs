using System.Numerics;
using TraceDistill.Data.Generation;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Data.Tests.Generation;

public sealed class TailMassTests
{
    /// <summary>Against 1 − Σp in whole numbers of 2⁻²⁰⁰, where p is taken from the float logprob by the exponential series.</summary>
    [Theory]
    [InlineData(new[] { 0.5, 0.25 })]
    [InlineData(new[] { 0.999999, 1e-9 })]
    [InlineData(new[] { 1e-12 })]
    [InlineData(new[] { 0.9, 0.09, 0.009, 0.0009, 0.00009 })]
    public void Logprob_HeadOfADistribution_IsWhatIsLeftExactly(double[] head)
    {
        float[] logprobs = [.. head.Select(p => (float)Math.Log(p))];
        var left = BigInteger.One << 200;
        foreach (var logprob in logprobs)
        {
            left -= Exponential(logprob);
        }

        var expected = BigInteger.Log(left) - 200 * Math.Log(2);
        Assert.Equal(expected, TailMass.Logprob(logprobs), 1e-6 * Math.Max(1, Math.Abs(expected)));
    }

    [Fact]
    public void Logprob_NothingReported_IsEverything()
    {
        Assert.Equal(0, TailMass.Logprob([]));
        Assert.Equal(0, TailMass.Logprob([float.NegativeInfinity]));
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1e-3f)]
    public void Logprob_CertaintyOrRoundingPastIt_LeavesNothing(float logprob) =>
        Assert.Equal(float.NegativeInfinity, TailMass.Logprob([logprob, -20]));

    /// <summary>In either layout: float32 rounds log(count / N), and the sum is one all the same.</summary>
    [Fact]
    public void Logprob_CountsOfDraws_LeavesNothing()
    {
        var random = new Random(5);
        for (var i = 0; i < 2_000; i++)
        {
            Assert.Equal(float.NegativeInfinity, TailMass.Logprob(SampledCounts.Row(random, random.Next(1, 257)).Logprobs));
        }
    }

    /// <summary>What float32 can tell from one stays: half of the last digit of a sum is far less than one of these.</summary>
    [Fact]
    public void Logprob_LittleMoreThanRoundingLeavesOut_IsKept() =>
        Assert.Equal(Math.Log(1e-6), TailMass.Logprob([(float)Math.Log(0.5), (float)Math.Log(0.499999)]), 0.1);

    /// <summary>2²⁰⁰ eˣ for x ≤ 0, by the series of e^(x/1024) raised to the 1024th power.</summary>
    static BigInteger Exponential(float x)
    {
        const int Bits = 200;
        var scaled = (BigInteger)((double)x * (1L << 52)) << (Bits - 62);
        var (sum, term) = (BigInteger.One << Bits, BigInteger.One << Bits);
        for (var n = 1; !term.IsZero && n < 200; n++)
        {
            term = (term * scaled >> Bits) / n;
            sum += term;
        }

        for (var i = 0; i < 10; i++)
        {
            sum = sum * sum >> Bits;
        }

        return sum;
    }
}
