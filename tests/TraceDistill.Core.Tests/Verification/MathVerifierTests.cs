using System.Globalization;
using FsCheck;
using FsCheck.Xunit;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Verification;
using Xunit;

namespace TraceDistill.Core.Tests.Verification;

public sealed class MathVerifierTests
{
    [Theory]
    [InlineData("18", "18")]
    [InlineData("18", "18.")]
    [InlineData("18", "$18.00")]
    [InlineData("18", "**18**")]
    [InlineData("1080", "1,080")]
    [InlineData("1080", "1,080.0 dollars")]
    [InlineData("109200000", "109,200,000")]
    [InlineData("5000000", "5 million")]
    [InlineData("36", "3 dozen eggs")]
    [InlineData("50", "50%")]
    [InlineData("50", "50\\%")]
    [InlineData("1/2", "0.5")]
    [InlineData("1/2", "2/4")]
    [InlineData("\\frac{1}{2}", "1/2")]
    [InlineData("\\frac{1}{2}", "$\\dfrac{1}{2}$")]
    [InlineData("5/2", "2 1/2")]
    [InlineData("5/2", "2\\frac{1}{2} cups")]
    [InlineData("-3", "\u22123")]
    [InlineData("-\\frac{3}{4}", "-.75")]
    [InlineData("1500", "1.5e3")]
    [InlineData("5", "5 km")]
    [InlineData("5", "5\\text{ cm}^2")]
    [InlineData("90", "90^\\circ")]
    [InlineData("8 remainder 3", "8  remainder 3.")]
    [InlineData("12 19 45", "12, 19, 45")]
    [InlineData("12 19 45", "12,19,45")]
    [InlineData("7:35", "7:35")]
    [InlineData("yes", "Yes.")]
    [InlineData("x+1", "$x+1$")]
    [InlineData("x + 1", "x+1")]
    [InlineData("2\\pi", "2 \\pi")]
    [InlineData("(3,4)", "\\left( 3, 4 \\right)")]
    [InlineData("(3,4)", "(x, y) = (3, 4)")]
    [InlineData("x = 3, y = 4", "x=3,y=4")]
    [InlineData("x \\ge 5", "$x \\ge 5$")]
    [InlineData("7", "3 + 4 = 5 + 2 = 7")]
    [InlineData("1100", "1,080 + 20 = 1,100")]
    [InlineData("1/2", "\\frac12")]
    [InlineData("-1/2", "\\frac{-1}{2}")]
    [InlineData("10000", "10{,}000")]
    [InlineData("10000", "10\\,000")]
    [InlineData("1500", "1.5 \\times 10^{3}")]
    [InlineData("1500", "1.5 × 10^3")]
    [InlineData("0.001", "10^{-3}")]
    [InlineData("20", "20 ft²")]
    [InlineData("20", "20 sq. ft.")]
    [InlineData("-1234.5", "-$1,234.50")]
    [InlineData("-5 -3 2", "-5, -3, 2")]
    [InlineData("the 3 of them and no 4 others may come", "the 3 of them and no 4 others may come")]
    public void Verify_TheSameAnswerWrittenOtherwise_IsCorrect(string expected, string answer) => Assert.Equal(Verdict.Correct, Verify(answer, expected));

    [Theory]
    [InlineData("18", "18.01")]
    [InlineData("18", "81")]
    [InlineData("18", "-18")]
    [InlineData("3", "0.33333")]
    [InlineData("1/3", "0.3333333333")]
    [InlineData("8 remainder 3", "8")]
    [InlineData("8 remainder 3", "8 remainder 4")]
    [InlineData("12 19 45", "12 45 19")]
    [InlineData("12 19 45", "12 19")]
    [InlineData("7:35", "7:53")]
    [InlineData("7:35", "735")]
    [InlineData("5", "5x")]
    [InlineData("5", "x >= 5")]
    [InlineData("x >= 5", "x <= 5")]
    [InlineData("x = 3, y = 4", "x = 7, y = 4")]
    [InlineData("4", "x = 3, y = 4")]
    [InlineData("12", "12 hundred")]
    [InlineData("12 19 45", "121945")]
    [InlineData("18", "")]
    [InlineData("18", "I cannot tell you that, sorry, it is too hard.")]
    [InlineData("18", "<think> 9 + 9 = 18, and then")]
    [InlineData("18", "<think> 9 + 9 = 18")]
    [InlineData("18", "1/0")]
    [InlineData("18", "\u0661\u0668")]
    public void Verify_AnotherAnswer_IsIncorrect(string expected, string answer) => Assert.Equal(Verdict.Incorrect, Verify(answer, expected));

    [Theory]
    [InlineData("x + 1", "1 + x")]
    [InlineData("2\\sqrt{3}", "\\sqrt{12}")]
    [InlineData("", "4")]
    public void Verify_WhatNeedsAlgebraOrHasNoKnownAnswer_IsUnverified(string expected, string answer) => Assert.Equal(Verdict.Unverified, Verify(answer, expected));

    [Fact]
    public void Verify_NoText_IsUnverified() => Assert.Equal(Verdict.Unverified, Verify(null, "4"));

    [Theory]
    [InlineData("so \\boxed{3} or rather \\boxed{\\frac{1}{2}} is it", "\\frac{1}{2}")]
    [InlineData("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}")]
    [InlineData("thus \\boxed 7 .", "7")]
    [InlineData("We have 3.\n#### 1,072\n", "1,072")]
    [InlineData("#### 42\nI hope this helps", "42")]
    [InlineData("#### Step 1: count\nThere are 40.\n#### Step 2: add\n40 and 2 make 42", "42")]
    [InlineData("#### 2. Compute the total\nIt comes to 42 in the end.", "42")]
    [InlineData("#### Final Answer\nIt must be 42 then.", "42")]
    [InlineData("To answer this question: we need 5 things and four more, so it is 9", "9")]
    [InlineData("**Answer (in km):** 72", "72")]
    [InlineData("<think> b </think> x + 1", "x + 1")]
    [InlineData("He has 5 left, then 9.\nA: 14", "14")]
    [InlineData("The answer is 7, no wait, the answer is 8. I used 2 steps.", "8")]
    [InlineData("The answer is 3 + 4 = 7 because of 2 rules of arithmetic that hold here.", "7")]
    [InlineData("The final answer is: $1,234.50 for 3 days.", "$1,234.50 for 3 days")]
    [InlineData("**Answer:** 42", "42")]
    [InlineData("The answer to your question is 8 remainder 3.", "8 remainder 3")]
    [InlineData("the answer is 5 (that is 3 + 2).", "5")]
    [InlineData("<think> 2 + 2 = 4, so 4. the answer is 9. </think> 4", "4")]
    [InlineData("a 7 </think>\n\n12 19 45", "12 19 45")]
    [InlineData("First 3 apples and 4 pears were bought, so there are now 7 pieces of fruit.", "7")]
    [InlineData("It leaves at 7:35 in the morning if nothing else comes in between", "7:35")]
    [InlineData("10-5 is what I would calculate in this case and so I get 10-5", "5")]
    [InlineData("no numbers here whatsoever, only words", null)]
    [InlineData("", null)]
    [InlineData("<think> 1 + 1 = 2", null)]
    public void Find_InATextOfAModel_GivesTheFinalAnswer(string text, string? answer) => Assert.Equal(answer, FinalAnswer.Find(text));

    /// <summary>Units are words with signs between them; a text of many that is none after all must not be tried in every way.</summary>
    [Fact(Timeout = 10_000)]
    public async Task Verify_LongTextThatIsAlmostANumberWithUnits_EndsAtOnce() => Assert.Equal(
        Verdict.Incorrect, await Task.Run(() => Verify($"\\boxed{{5 aa{string.Concat(Enumerable.Repeat(". b", 60))} 1}}", "5"), TestContext.Current.CancellationToken));

    [Property]
    public void AreEqual_OfAFractionScaledOrAsDecimal_HoldsExactlyWhereItsValueIs(int numerator, PositiveInt denominator, PositiveInt factor)
    {
        var (a, b, k) = (numerator, denominator.Get, factor.Get);
        Assert.True(AnswerText.AreEqual($"{a}/{b}", $"{(long)a * k}/{(long)b * k}"));
        Assert.False(AnswerText.AreEqual($"{a}/{b}", $"{a + 1L}/{b}"));
        var money = (decimal)a / 100;
        Assert.True(AnswerText.AreEqual($"{a}/100", money.ToString("#,##0.00##", CultureInfo.InvariantCulture)));
    }

    [Property(MaxTest = 300)]
    public void Verify_AnyText_GivesAVerdictAndAnyNumberInABoxIsFound(string? text, int answer)
    {
        Assert.True(Enum.IsDefined(Verify(text, $"{answer}")));
        Assert.Equal(Verdict.Correct, Verify($"{text?.Replace("boxed", "")}</think>\n\\boxed{{{answer}}}", $"{answer}"));
    }

    [Fact]
    public void Verify_EveryGeneratedAnswer_IsCorrectAloneAndWithItsSolution()
    {
        foreach (var problem in ProblemGenerator.Generate(["all"], 1200, 3, ProblemSplit.Train))
        {
            Assert.Equal(Verdict.Correct, Verify(problem.Answer, problem.Answer));
            Assert.Equal(Verdict.Correct, Verify($"<think> {problem.Solution} </think> {problem.Answer}", problem.Answer));
        }
    }

    [Fact]
    public void ToName_OfEachVerdict_IsThatOfTheShards() =>
        Assert.Equal(["correct", "incorrect", "unverified"], Enum.GetValues<Verdict>().Select(verdict => verdict.ToName()));

    static Verdict Verify(string? text, string expected) =>
        MathVerifier.Instance.Verify(text, new Problem { Id = "x", Family = "f", Text = "?", Answer = expected });
}
