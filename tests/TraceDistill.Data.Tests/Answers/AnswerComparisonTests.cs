using TraceDistill.Data.Answers;
using Xunit;

namespace TraceDistill.Data.Tests.Answers;

public sealed class AnswerComparisonTests
{
    [Theory]
    [InlineData("3:2", "6:4", true)]
    [InlineData("2:3:5", "4:6:10", true)]
    [InlineData("3:2", "2:3", false)]
    [InlineData("2 \\text{ hours } 30 \\text{ minutes}", "2.5 \\text{ hours}", true)]
    [InlineData("2 \\text{ hours } 30 \\text{ minutes}", "2.3 \\text{ hours}", false)]
    [InlineData("5 \\text{ feet } 3 \\text{ inches}", "63 \\text{ inches}", true)]
    [InlineData("f(x) = 2x", "f(x) = 2x \\text{ for all } x \\in \\mathbb{R}", true)]
    [InlineData("f(x) = 2x", "f(x) = 3x \\text{ for all } x \\in \\mathbb{R}", false)]
    [InlineData("1,200", "(1,200)", null)]
    [InlineData("0,125", "125", false)]
    [InlineData("75 \\text{ km/h}", "75\\ \\frac{\\text{km}}{\\text{h}}", true)]
    [InlineData("\\text{March 14}", "14 Charm", null)]
    public void AreEqual_TwoAnswers_HasTheVerdictOfThePolicy(string expected, string given, bool? isEqual) =>
        Assert.Equal(isEqual, AnswerComparison.AreEqual(AnswerReader.Read(expected), AnswerReader.Read(given)));
}
