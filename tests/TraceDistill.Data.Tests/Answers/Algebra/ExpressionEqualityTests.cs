using TraceDistill.Data.Answers.Algebra;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Algebra;

public sealed class ExpressionEqualityTests
{
    static readonly Expression X = new SymbolExpression("x"),
        Y = new SymbolExpression("y"),
        Half = new Rational(1, 2);

    [Fact]
    public void AreEqual_NumbersThatDoublesDoNotTellApart_IsDecidedExactly()
    {
        Expression large = new NumberExpression(new Rational(10, 1).Pow(20));

        Assert.False(ExpressionEquality.AreEqual(large + Root(2), large));
        Assert.False(ExpressionEquality.AreEqual(large + Call("ln", 2), large + Call("ln", 3)));
        Assert.True(ExpressionEquality.AreEqual(large + Root(2) - large, Root(2)));
    }

    [Fact]
    public void AreEqual_RootsOfPrimes_AreIndependent()
    {
        Assert.True(ExpressionEquality.AreEqual(Root(2) * Root(3), Root(6)));
        Assert.True(ExpressionEquality.AreEqual(1 / (2 + Root(3)), 2 - Root(3)));
        Assert.False(ExpressionEquality.AreEqual(Root(2) + Root(3), Root(10)));
    }

    /// <summary>√(3 + 2√2) is no sum of roots to exact algebra; the values agree.</summary>
    [Fact]
    public void AreEqual_NestedRoot_IsDecidedByItsValue() =>
        Assert.True(ExpressionEquality.AreEqual(new PowerExpression(3 + 2 * Root(2), Half), 1 + Root(2)));

    /// <summary>√(x²) is x where x is positive and not elsewhere.</summary>
    [Fact]
    public void AreEqual_ExpressionsThatDifferForNegativeVariables_IsUndecided() =>
        Assert.Null(ExpressionEquality.AreEqual(new PowerExpression(X * X, Half), X));

    [Fact]
    public void AreEqual_Undefined_IsNoAnswer() => Assert.False(ExpressionEquality.AreEqual((Expression)1 / 0, 1));

    [Fact]
    public void AreEqual_IrrationalAndItsDecimal_IsUndecided() =>
        Assert.Null(ExpressionEquality.AreEqual(Root(2), new Rational(14142, 10_000)));

    [Fact]
    public void AreProportional_EquationsScaledByANumber_IsTrueAndForInequalitiesItsSignCounts()
    {
        Assert.True(ExpressionEquality.AreProportional(X - 2 * Y, -3 * X + 6 * Y, isPositive: false));
        Assert.False(ExpressionEquality.AreProportional(X - 2 * Y, -3 * X + 6 * Y, isPositive: true));
        Assert.True(ExpressionEquality.AreProportional(X - Root(2), Root(2) * X - 2, isPositive: true));
        Assert.False(ExpressionEquality.AreProportional(X - 2 * Y, X * X - 2 * X * Y, isPositive: false));
    }

    static PowerExpression Root(int number) => new PowerExpression(number, Half);

    static FunctionExpression Call(string name, Expression argument) => new FunctionExpression(name, [argument]);
}
