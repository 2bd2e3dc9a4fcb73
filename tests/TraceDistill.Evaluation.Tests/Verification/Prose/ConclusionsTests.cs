using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class ConclusionsTests
{
    [Theory]
    [InlineData("12 - 7 = 5. So she has 5 apples left.", "5", true)]
    [InlineData("So she has 5 apples left. I hope this helps!", "5", true)]
    [InlineData("So n = 11. Check: 11 - 3 = 8 \u2713.", "n = 11", true)]
    [InlineData("So she has 5 apples left. But she found one more.", "5", false)]
    [InlineData("So she has 5 apples left. The question asks for twice that.", "5", false)]
    [InlineData("So she has 5 apples left and", "5", false)]
    [InlineData("3 + 4 = 7.\n\nIt is 7, so ten are missing.", "7", false)]
    public void Last_AText_GivesTheValueOfItsLastSentence(string text, string value, bool isCertain) =>
        Assert.Equal(new Finding(value, isCertain), Conclusions.Last(text, 0));

    [Fact]
    public void Last_ATextWithoutValues_IsNothing() => Assert.Null(Conclusions.Last("I cannot tell. It is too hard.", 0));

    [Fact]
    public void Last_FromAPlaceOn_PassesOverWhatStandsBefore() => Assert.Null(Conclusions.Last("So it is 5. That is all.", 12));
}
