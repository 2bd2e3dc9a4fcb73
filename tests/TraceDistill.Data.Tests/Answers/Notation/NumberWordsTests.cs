using TraceDistill.Data.Answers.Notation;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Notation;

public sealed class NumberWordsTests
{
    [Theory]
    [InlineData("zero", 0)]
    [InlineData("twenty-one", 21)]
    [InlineData("One hundred and five", 105)]
    [InlineData("two thousand three hundred forty", 2340)]
    [InlineData("three million", 3_000_000)]
    public void TryRead_ANumberInWords_IsItsValue(string words, int value)
    {
        Assert.True(NumberWords.TryRead(words, out var read));
        Assert.Equal(value, read.Numerator);
    }

    [Theory]
    [InlineData("")]
    [InlineData("and")]
    [InlineData("five five")]
    [InlineData("hundred")]
    [InlineData("two dogs")]
    public void TryRead_OtherWords_IsNoNumber(string words) => Assert.False(NumberWords.TryRead(words, out _));
}
