using System.Globalization;
using FsCheck;
using FsCheck.Xunit;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification;

public sealed class MathVerifierTests
{
    /// <summary>A number that a sentence only mentions is not its result.</summary>
    [Theory]
    [InlineData("So x is divisible by 6.")]
    [InlineData("This leaves us with 6 possible cases.")]
    [InlineData("I could not finish; the next step would be to test $x=6$.")]
    [InlineData("In total, she has $6 more than Tom.")]
    [InlineData("It is clear that 6 is not the answer.")]
    [InlineData("Thus there are 6 cases to consider, and I ran out of time.")]
    [InlineData("We see in the end that all of them are at least 6.")]
    [InlineData("Suppose $x = 6$.")]
    [InlineData("Let x = 6.")]
    [InlineData("If $x = 6$?")]
    public void Verify_ALastNumberThatIsNotTheResult_IsUnverified(string text) =>
        Assert.Equal(
            Verdict.Unverified,
            MathVerifier.Instance.Verify(
                text,
                new Problem
                {
                    Id = "x",
                    Family = "f",
                    Text = "?",
                    Answer = "6",
                }
            )
        );

    [Theory]
    [InlineData("7.2 \\times 10^{5}", "Multiplying 2.4 × 10² by 3 × 10³ gives 7.2 × 10⁵.")]
    [InlineData("10^{12}", "\\boxed{10¹²}")]
    [InlineData("10^{-15}", "\\boxed{10⁻¹⁵}")]
    [InlineData("2x^2+8", "The linear terms cancel and we end up with 2x² + 8.")]
    [InlineData("51", "**Total:** 17 + 34 = 51\n\n✔ 51 − 34 = 17")]
    [InlineData("-8", "### Final Answer\n\n$$x=-8$$")]
    [InlineData("40", "**Answer**\n40 km")]
    [InlineData("11/36", "The answer is $11/36$. (The complement has probability $25/36$.)")]
    [InlineData("x^2+3x-10", "**Answer:** $(x+5)(x-2) = x^2 + 3x - 10$")]
    [InlineData("1250", "Der Endbetrag ist \\boxed{1.250,00} Euro.")]
    [InlineData("\\text{DNE}", "\\boxed{\\text{does not exist}}")]
    [InlineData("\\text{June 5}", "\\boxed{\\text{June 5th}}")]
    [InlineData("2:15 \\text{ pm}", "\\boxed{2{:}15\\text{ p.m.}}")]
    [InlineData("D", "Therefore, the correct option is **D. 3/8**.")]
    [InlineData("D", "The correct option is D. 3/8.")]
    [InlineData("D", "The correct option is **D.** $\\frac{3}{8}$.")]
    [InlineData("D", "D. 3/8")]
    [InlineData("B", "So the answer is B. The area grows by a factor of 4.")]
    [InlineData("C", "Así que la opción correcta es la **C**.")]
    [InlineData("C", "La bonne réponse est la C.")]
    [InlineData("C", "La respuesta correcta es la **C**.")]
    [InlineData("C", "A alternativa correta é a letra C.")]
    [InlineData("C", "Правильный ответ — C.")]
    [InlineData("\\begin{pmatrix} 3 \\\\ -1 \\end{pmatrix}", "\\boxed{\\begin{pmatrix} 3 \\\\[4pt] -1 \\\\[ 0.5em ] \\end{pmatrix}}")]
    [InlineData("1234567", "1.234.567")]
    [InlineData("21", "Jawabannya adalah 21.")]
    [InlineData("42", "الجواب هو 42.")]
    [InlineData("5", "คำตอบคือ 5")]
    public void Verify_TheAnswerInAnotherNotation_IsCorrect(string answer, string text) =>
        Assert.Equal(Verdict.Correct, Verify(text, answer));

    [Theory]
    [InlineData("7.2 \\times 10^{4}", "Multiplying 2.4 × 10² by 3 × 10³ gives 7.2 × 10⁵.")]
    [InlineData("10^{3}", "\\boxed{10¹²}")]
    [InlineData("17", "**Total:** 17 + 34 = 51\n\n✔ 51 − 34 = 17")]
    [InlineData("8", "### Final Answer\n\n$$x=-8$$")]
    [InlineData("x^2+3x", "**Answer:** $(x+5)(x-2) = x^2 + 3x - 10$")]
    [InlineData("1.25", "Der Endbetrag ist \\boxed{1.250,00} Euro.")]
    [InlineData("\\text{June 6}", "\\boxed{\\text{June 5th}}")]
    [InlineData("A", "Therefore, the correct option is **D. 3/8**.")]
    [InlineData("B", "Así que la opción correcta es la **C**.")]
    [InlineData("B", "La bonne réponse est la C.")]
    [InlineData("A", "D. 3/8")]
    [InlineData("\\begin{pmatrix} 3 \\\\ 4 \\end{pmatrix}", "\\boxed{\\begin{pmatrix} 3 \\\\[4pt] -1 \\end{pmatrix}}")]
    [InlineData("1.234567", "1.234.567")]
    [InlineData("12", "Jawabannya adalah 21.")]
    [InlineData("ABC", "\\boxed{ACB}")]
    public void Verify_AnotherAnswerInThatNotation_IsIncorrect(string answer, string text) =>
        Assert.Equal(Verdict.Incorrect, Verify(text, answer));

    /// <summary>What the engine cannot decide, and a sentence that may mean the expected value.</summary>
    [Theory]
    [InlineData("k < -4 \\text{ or } k > 4", "\\boxed{|k| > 4}")]
    [InlineData("\\langle 2, -1, 3 \\rangle", "$$\\boxed{2\\mathbf{i} - \\mathbf{j} + 3\\mathbf{k}}$$")]
    [InlineData("5/9", "Among the 9 balls, 5 are white, so drawing a white ball has a chance of 5 in 9.")]
    [InlineData("88", "最终答案：他一共花了88元，找回12元。")]
    [InlineData("12", "最终答案：他一共花了88元，找回12元。")]
    public void Verify_WhatMayBeTheAnswer_IsUnverified(string answer, string text) =>
        Assert.Equal(Verdict.Unverified, Verify(text, answer));

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
    [InlineData("18", "\u0661\u0668")]
    [InlineData("x + 1", "1 + x")]
    [InlineData("2\\sqrt{3}", "\\sqrt{12}")]
    [InlineData("3, 5, 7", "They are \\boxed{3}, \\boxed{5} and \\boxed{7}.")]
    [InlineData("twelve", "12")]
    [InlineData("7", "Answer: seven point none, so \\boxed{\\text{seven}}")]
    public void Verify_TheSameAnswerWrittenOtherwise_IsCorrect(string expected, string answer) =>
        Assert.Equal(Verdict.Correct, Verify(answer, expected));

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
    public void Verify_AnotherAnswer_IsIncorrect(string expected, string answer) =>
        Assert.Equal(Verdict.Incorrect, Verify(answer, expected));

    /// <summary>Beyond the engine, two readings, no known answer, or what prose leaves open.</summary>
    [Theory]
    [InlineData("", "4")]
    [InlineData("4", "\\boxed{\\int_0^4 x\\,dx}")]
    [InlineData("\\sum_{k=1}^n k", "\\boxed{5}")]
    [InlineData("3m", "\\boxed{3}")]
    [InlineData("2.5", "\\boxed{2,5}")]
    [InlineData("\\sqrt{2}", "\\boxed{1.4142}")]
    [InlineData("xy/2", "\\boxed{x/2y}", true)]
    [InlineData("\\frac{x}{2y}", "\\boxed{x/2y}")]
    [InlineData("\\log 2", "\\boxed{\\ln 2}")]
    [InlineData("12", "A dozen, so the answer is twelve.")]
    [InlineData("18", "The answer is 18!")]
    [InlineData("x=5", "\\boxed{y=5}")]
    [InlineData("7", "\\boxed{a+b=7}")]
    [InlineData("{3, 5}", "\\boxed{\\begin{cases}3\\\\5\\end{cases}}")]
    public void Verify_WhatIsBeyondTheEngine_IsUnverified(string expected, string answer, bool mayBeCorrect = false) =>
        Assert.Contains(Verify(answer, expected), mayBeCorrect ? new[] { Verdict.Unverified, Verdict.Correct } : [Verdict.Unverified]);

    [Theory]
    [InlineData("5", "It is not 5")]
    [InlineData("5", "The answer is not 5.")]
    [InlineData("5", "The answer is not \\boxed{5}")]
    [InlineData("5", "\\boxed{\\text{not } 5}")]
    [InlineData("5", "\\boxed{\\neq 5}")]
    [InlineData("5", "It is 6, not 5")]
    [InlineData("0", "\\boxed{2x+3y-6=0}")]
    [InlineData("5", "\\boxed{5!}")]
    [InlineData("6", "We find that the result comes to 6x.")]
    [InlineData("7", "The answer is 7 dozen.")]
    [InlineData("2.5 \\text{ kg}", "Altogether the bags weigh 2.5 g.")]
    [InlineData("5", "\\boxed{5xy}")]
    [InlineData("2xy", "\\boxed{2ab}")]
    [InlineData("\\Delta", "\\boxed{\\delta}")]
    [InlineData("4", "\\boxed{4\\ldots}")]
    [InlineData("16", "\\boxed{16_7^2}")]
    [InlineData("5", "Wait, I made an error. \\boxed{5}. Actually the answer should be 6.")]
    [InlineData("5", "\\boxed{5}\n\nThe final answer is 6.")]
    public void Verify_WhatOnlyLooksAlike_IsNotCorrect(string expected, string answer) =>
        Assert.NotEqual(Verdict.Correct, Verify(answer, expected));

    [Fact]
    public void Verify_NoText_IsUnverified() => Assert.Equal(Verdict.Unverified, Verify(null, "4"));

    [Property]
    public void AreEqual_OfAFractionScaledOrAsDecimal_HoldsExactlyWhereItsValueIs(
        int numerator,
        PositiveInt denominator,
        PositiveInt factor
    )
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
        MathVerifier.Instance.Verify(
            text,
            new Problem
            {
                Id = "x",
                Family = "f",
                Text = "?",
                Answer = expected,
            }
        );
}
