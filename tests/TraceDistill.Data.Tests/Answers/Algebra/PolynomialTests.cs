using TraceDistill.Data.Answers.Algebra;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Algebra;

public sealed class PolynomialTests
{
    static readonly Polynomial X = Polynomial.Of(1, (new Generator("x"), (Rational)1));

    [Fact]
    public void Product_OfASumAndADifference_IsTheDifferenceOfSquares()
    {
        var product = (X + Polynomial.One) * (X - Polynomial.One);

        Assert.True((product - (X * X - Polynomial.One)).IsZero);
        Assert.Equal(2, product.Terms.Count);
    }

    [Fact]
    public void Of_TheSquareOfTheImaginaryUnit_IsMinusOne()
    {
        Assert.True(Polynomial.Of(1, (Generator.Imaginary, (Rational)2)).IsNumber(out var value));
        Assert.Equal((Rational)(-1), value);
    }

    [Fact]
    public void Of_TwoRootsOfAPrime_IsThePrime()
    {
        var root = Polynomial.Of(1, (new Generator("#5", Prime: 5), new Rational(1, 2)));

        Assert.True((root * root).IsNumber(out var value));
        Assert.Equal((Rational)5, value);
    }
}
