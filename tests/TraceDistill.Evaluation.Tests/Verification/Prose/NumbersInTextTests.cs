using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class NumbersInTextTests
{
    [Theory]
    [InlineData("He paid $1,234.50 for 3 of them", "$1,234.50 3")]
    [InlineData("10-5 is 5", "10 5 5")]
    [InlineData("It is not 5 but 6", "6")]
    [InlineData("v2 of x_3 has 4", "4")]
    [InlineData("\\frac{1}{2} or 50%", "\\frac{1}{2} 50%")]
    public void Find_AText_GivesItsNumbers(string text, string numbers) =>
        Assert.Equal(numbers, string.Join(' ', NumbersInText.Find(text).Select(number => number.Text)));

    [Theory]
    [InlineData("a total of ", false)]
    [InlineData("one of ", true)]
    [InlineData("divided by ", true)]
    [InlineData("out of the ", true)]
    [InlineData("on page ", true)]
    [InlineData("so she has ", false)]
    [InlineData("Donc Paul a ", false)]
    public void IsGoverned_TheWordsBeforeANumber_TellThatItIsNotTheResult(string lead, bool isGoverned) =>
        Assert.Equal(isGoverned, NumbersInText.IsGoverned(lead));

    [Theory]
    [InlineData("7x", true)]
    [InlineData("7th", true)]
    [InlineData("7!", true)]
    [InlineData("7 + x", true)]
    [InlineData("7 to 3", true)]
    [InlineData("7:2", true)]
    [InlineData("7km", false)]
    [InlineData("7 apples", false)]
    [InlineData("7 km/h", false)]
    public void IsCalculatedWith_WhatStandsBehindANumber_TellsThatItIsAPart(string text, bool isPart) =>
        Assert.Equal(isPart, NumbersInText.IsCalculatedWith(text, NumbersInText.First(text)!.Value));

    [Theory]
    [InlineData("7 dozen eggs", "7 dozen")]
    [InlineData("2.5 g", "2.5 g")]
    [InlineData("8:25 a.m.", "8:25 a.m.")]
    [InlineData("18 cm\u00b2", "18 cm^2")]
    [InlineData("60 km/h", "60 km/h")]
    [InlineData("7 apples per day", "7")]
    [InlineData("7 in total", "7")]
    [InlineData("$25 dollars", "$25")]
    public void WithUnit_ANumberInProse_TakesWhatChangesItsValue(string text, string value) =>
        Assert.Equal(value, NumbersInText.WithUnit(text, NumbersInText.First(text)!.Value));
}
