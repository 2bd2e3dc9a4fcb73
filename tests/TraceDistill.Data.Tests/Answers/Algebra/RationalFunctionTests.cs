using TraceDistill.Data.Answers.Algebra;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Algebra;

public sealed class RationalFunctionTests
{
    [Fact]
    public void Of_NumbersWithRootsAndPowers_IsTheNumber()
    {
        Expression root = new PowerExpression((Expression)8, new Rational(2, 3)); // 8^(2/3) = 4

        Assert.True(RationalFunction.Of(root + (Expression)1 / 4).IsNumber(out var value));
        Assert.Equal(new Rational(17, 4), value);
    }

    [Fact]
    public void Of_DivisionByZero_IsUndefined()
    {
        var thrown = Assert.Throws<BeyondEngineException>(() => RationalFunction.Of(new PowerExpression((Expression)0, (Expression)(-1))));

        Assert.True(thrown.IsUndefined);
    }
}
