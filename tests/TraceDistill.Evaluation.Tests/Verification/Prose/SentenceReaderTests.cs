using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class SentenceReaderTests
{
    [Theory]
    [InlineData("So she has 5 apples left.", "5")]
    [InlineData("**5**", "5")]
    [InlineData("= 5", "5")]
    [InlineData("Total: 15 + 25 = 40 km.", "40 km")]
    [InlineData("Together they earn $20/week * 52 weeks/year = $1040/year", "$1040")]
    [InlineData("The length is 12cm + 9cm = 21cm", "21 cm")]
    [InlineData("Hence the area is $16$.", "16")]
    [InlineData("So she needs to give the chickens **20 cups** of feed.", "20 cups")]
    [InlineData("So the vertex is at (1, -2).", "(1, -2)")]
    [InlineData("The quotient is 3x + 2.", "3x + 2")]
    [InlineData("Hence $x = 1$ or $x = 4$.", "x = 1 or x = 4")]
    [InlineData("So x = 3 and y = 4.", "x = 3 and y = 4")]
    [InlineData("Hence, there is no real solution.", "no real solution")]
    [InlineData("The median of 1, 3 and 20 is 3.", "3")]
    [InlineData("Combining them, 2^7 \u00b7 2^8 = 2^15.", "2^15")]
    [InlineData("The equation of the line is x + y = 6.", "x + y = 6")]
    [InlineData("Therefore, the correct option is B.", "B")]
    public void Read_ASentenceThatAssertsOneValue_IsCertain(string sentence, string value) =>
        Assert.Equal(new Finding(value, true), SentenceReader.Read(sentence, "", isStated: false));

    [Theory]
    [InlineData("So Alice has 5 and Bob has 7.")]
    [InlineData("It takes 7 hours and 30 minutes.")]
    [InlineData("Step 1: 3 + 4 = 7")]
    [InlineData("3 + 4 = 7 is the first step.")]
    [InlineData("He can skip 4 classes because 10 - 4 = 6")]
    [InlineData("- pears: 8")]
    [InlineData("Let n = 8.")]
    [InlineData("The minimum is attained at x = 3.")]
    [InlineData("So 8x = 3.")]
    [InlineData("So the larger one is 9 and the smaller one is 7.")]
    public void Read_ASentenceThatLeavesItsValueOpen_IsNotCertain(string sentence) =>
        Assert.False(SentenceReader.Read(sentence, "", isStated: false)!.Value.IsCertain);

    /// <summary>A number that stands above is no result of its own, unless a calculation came to it.</summary>
    [Theory]
    [InlineData("She bought 12 apples and 4 pears.\n", "Ann took 12 apples.", false)]
    [InlineData("3 * 4 = 12.\n", "Ann took 12 apples.", true)]
    public void Read_ANumberFromAbove_IsCertainWhereItIsAResult(string before, string sentence, bool isCertain) =>
        Assert.Equal(isCertain, SentenceReader.Read(sentence, before, isStated: false)!.Value.IsCertain);
}
