using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Notation;

public sealed class ExpressionParserTests
{
    [Theory]
    [InlineData("2\\frac{1}{2}", "5/2")]
    [InlineData("2 1/2", "5/2")]
    [InlineData("0.\\overline{3}", "1/3")]
    [InlineData("1.5e3", "1500")]
    [InlineData("3 million", "3000000")]
    [InlineData("\\frac12", "1/2")]
    [InlineData("\\frac1{72}", "1/72")]
    [InlineData("\\sqrt[3]{8}", "2")]
    [InlineData("|{-3}|", "3")]
    [InlineData("\\lfloor 5/2 \\rfloor", "2")]
    [InlineData("--3", "3")]
    [InlineData("x_{12}'", "x_{12}'")]
    [InlineData("ab^2", "b\\cdot b\\cdot a")]
    public void Read_OneNotationOrAnother_IsTheSameExpression(string first, string second) =>
        Assert.True(ExpressionEquality.AreEqual(Read(first, out _), Read(second, out _)));

    [Theory]
    [InlineData("1/2x", true)]
    [InlineData("\\sin x/3", true)]
    [InlineData("(1/2)x", false)]
    public void Read_ASlashBeforeAProduct_IsAmbiguous(string text, bool isAmbiguous)
    {
        Read(text, out var found);
        Assert.Equal(isAmbiguous, found);
    }

    [Theory]
    [InlineData("2 +")]
    [InlineData("(1")]
    [InlineData("1 2")]
    [InlineData("5!!")]
    [InlineData("March 14")]
    [InlineData("\\sin^{-1} x")]
    public void Read_WhatIsNoExpression_IsBeyondTheEngine(string text) => Assert.Throws<BeyondEngineException>(() => Read(text, out _));

    static Expression Read(string text, out bool isAmbiguous) =>
        ExpressionParser.Read(Lexer.Read(text, CommaReading.Thousands), out isAmbiguous);
}
