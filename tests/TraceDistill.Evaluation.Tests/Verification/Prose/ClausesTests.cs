using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class ClausesTests
{
    [Theory]
    [InlineData("So Tom, who is 12, has 5 apples left.", "So Tom has 5 apples left.")]
    [InlineData("They need 5 chairs (they have 19 and need 24).", "They need 5 chairs.")]
    [InlineData("The area is 16, not 8 as one might guess.", "The area is 16")]
    [InlineData("It costs $200 instead of $250.", "It costs $200")]
    [InlineData("He has 84 in total: 36 of his own and 48 new ones.", "He has 84 in total")]
    [InlineData("There are 320 trees, 80 of which are pear trees.", "There are 320 trees")]
    [InlineData("There are 96 seats, since a quarter is 24.", "There are 96 seats")]
    [InlineData("Adding 1/3 and 1/4, the tank is 7/12 full.", "the tank is 7/12 full.")]
    [InlineData("The minimum is 10, attained at x = 3.", "The minimum is 10")]
    [InlineData("Its value at x = 3 is 8.", "Its value  is 8.")]
    [InlineData("Max owns 13 books, 4 more than before.", "Max owns 13 books")]
    [InlineData("Il reste 14 billes, qui sont rouges.", "Il reste 14 billes")]
    [InlineData("Total: 15 + 25 = 40 km.", "Total: 15 + 25 = 40 km.")]
    [InlineData("He got 6 more, so 3 x 2 = 6, because we count all.", "He got 6 more, so 3 x 2 = 6")]
    public void WithoutDetails_ASentence_KeepsWhatItAsserts(string sentence, string rest) =>
        Assert.Equal(rest, Clauses.WithoutDetails(sentence));

    [Theory]
    [InlineData("It is 135, hence each measures 45.", "hence each measures 45.")]
    [InlineData("She pays 80 dollars, which is 20 euros.", "which is 20 euros.")]
    [InlineData("They have $150 altogether.", "They have $150 altogether.")]
    [InlineData("Daher sind es 5.", "Daher sind es 5.")]
    public void Conclusion_ASentence_IsWhereItsLastClauseOfThatKindBegins(string sentence, string clause) =>
        Assert.Equal(clause, sentence[Clauses.Conclusion(sentence)..]);
}
