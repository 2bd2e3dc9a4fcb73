using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class DoubtTests
{
    [Theory]
    [InlineData("It is probably 7.")]
    [InlineData("Is it 7?")]
    [InlineData("If there were 7 cats, there would be 28 legs.")]
    [InlineData("There are more than 7 apples.")]
    [InlineData("It's either 6 or 7.")]
    [InlineData("It cannot be 7.")]
    [InlineData("She started with 7 apples.")]
    [InlineData("Bob says there are 7 birds.")]
    [InlineData("We multiply by 7.")]
    [InlineData("Vielleicht sind es 7.")]
    [InlineData("\u4e5f\u8bb8\u662f7\u4e2a\u3002")]
    public void IsIn_ASentenceThatDoesNotAssert_IsTrue(string sentence) => Assert.True(Doubt.IsIn(sentence));

    [Theory]
    [InlineData("So she has 7 apples left.")]
    [InlineData("The total cost is $7.")]
    [InlineData("We get 7 as the final result.")]
    [InlineData("The alarm rang 7 times.")]
    [InlineData("Daher sind es 7.")]
    public void IsIn_AnAssertion_IsFalse(string sentence) => Assert.False(Doubt.IsIn(sentence));

    [Theory]
    [InlineData("three boxes", true)]
    [InlineData("the three boxes", false)]
    [InlineData("one of them", false)]
    public void HasNumberWord_OnlyOfWhatIsNotKnown_IsTrue(string text, bool isThere) => Assert.Equal(isThere, Doubt.HasNumberWord(text));

    [Fact]
    public void IsRetraction_ASecondThought_IsTrue() => Assert.True(Doubt.IsRetraction("Wait, I counted one twice."));
}
