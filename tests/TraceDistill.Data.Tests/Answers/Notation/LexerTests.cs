using TraceDistill.Data.Answers.Notation;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Notation;

public sealed class LexerTests
{
    [Theory]
    [InlineData("1,234", "Thousands", "1234")]
    [InlineData("1,234", "List", "1 , 234")]
    [InlineData("1,25", "Decimal", "1.25")]
    [InlineData("0,125", "Thousands", "0 , 125")]
    [InlineData("0{,}5", "Thousands", "0.5")]
    [InlineData("1{,}234", "List", "1234")]
    [InlineData("\\left( x \\right)", "Thousands", "( x )")]
    [InlineData("\\ce{H2O}", "Thousands", "H _ { 2 } O")]
    [InlineData("x \\leqslant 3", "Thousands", "x <= 3")]
    [InlineData("৭", "Thousands", "7")]
    public void Read_ATextOfAnAnswer_GivesItsTokens(string text, string commas, string tokens) =>
        Assert.Equal(tokens, string.Join(' ', Lexer.Read(text, Enum.Parse<CommaReading>(commas)).Select(token => token.Text)));
}
