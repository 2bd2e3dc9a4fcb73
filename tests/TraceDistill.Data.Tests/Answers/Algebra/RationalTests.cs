using System.Numerics;
using FsCheck.Xunit;
using TraceDistill.Data.Answers.Algebra;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Algebra;

public sealed class RationalTests
{
    [Property]
    public void Operators_OfFractions_AreThoseOfTheirCrossProducts(int a, int b, int c, int d)
    {
        var (p, q) = (b == 0 ? 1 : b, d == 0 ? 1 : d);
        var (x, y) = (new Rational(a, p), new Rational(c, q));
        Assert.Equal(new Rational(((BigInteger)a * q) + ((BigInteger)c * p), (BigInteger)p * q), x + y);
        Assert.Equal(new Rational((BigInteger)a * c, (BigInteger)p * q), x * y);
        Assert.True(x.Denominator.Sign > 0 && BigInteger.GreatestCommonDivisor(x.Numerator, x.Denominator).IsOne);
    }

    [Theory]
    [InlineData(7, 2, 3)]
    [InlineData(-7, 2, -4)]
    [InlineData(-6, 2, -3)]
    public void Floor_OfAFraction_IsTheIntegerBelow(int above, int below, int floor) =>
        Assert.Equal(floor, new Rational(above, below).Floor());

    [Fact]
    public void ToDouble_OfNumbersBeyondDoubles_KeepsTheirRatio()
    {
        var large = BigInteger.Pow(10, 400);
        Assert.Equal(1.5, new Rational(3 * large + 1, 2 * large).ToDouble(), 1e-12);
        Assert.Equal(0, default(Rational).ToDouble());
    }

    [Fact]
    public void Pow_TooLarge_IsRefused() => Assert.Throws<BeyondEngineException>(() => new Rational(9, 1).Pow(387_420_489));
}
