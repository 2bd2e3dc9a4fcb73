using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class StatementsTests
{
    [Theory]
    [InlineData("The answer is 5.", "5", true)]
    [InlineData("The answer is 5, not 6.", "5", true)]
    [InlineData("**Answer:** She has 5 apples left.", "5", true)]
    [InlineData("Antwort: 12 \u00c4pfel", "12 \u00c4pfel", true)]
    [InlineData("The answer is probably 5.", "5", false)]
    [InlineData("If she sells all, the answer is 5.", "5", false)]
    [InlineData("Tom's answer is 5.", "5", false)]
    [InlineData("The answer is 5. No wait, that is wrong.", "5", false)]
    [InlineData("**Respuesta:** Ana comi\u00f3 7 manzanas, as\u00ed que quedan 5.", "5", true)]
    public void Last_AText_GivesTheLastStatement(string text, string value, bool isCertain) =>
        Assert.Equal(new Finding(value, isCertain), Statements.Last(text, out _));

    [Theory]
    [InlineData("The answer is not 5.")]
    [InlineData("There is nothing to say.")]
    public void Last_ATextWithoutAStatement_IsNothing(string text) => Assert.Null(Statements.Last(text, out _));
}
