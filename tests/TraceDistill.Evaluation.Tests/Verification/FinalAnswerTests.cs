using TraceDistill.Data.Answers;
using TraceDistill.Evaluation.Verification;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification;

public sealed class FinalAnswerTests
{
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
    [InlineData("We get \\fbox{7} after 3 steps", "7")]
    [InlineData("\\boxed{3}, \\boxed{5} and \\boxed{7}", "3, 5, 7")]
    [InlineData("x = \\boxed{3}, y = \\boxed{4}", "3, 4")]
    [InlineData("First \\boxed{3}. Then \\boxed{5}.", "5")]
    [InlineData("\\boxed{\\boxed{18}}", "18")]
    [InlineData("The answer is \\boxed{4}. It is marked with \\boxed as you asked.", "4")]
    [InlineData("First \\boxed{7}. No: \\boxed{}", null)]
    [InlineData("First \\boxed{7}. It is \\boxed{", null)]
    [InlineData("The answer is $4$. It goes into \\boxed{} as 1 of 3 steps asks.", "4")]
    [InlineData("With \\boxed{H} we see it.\n\n**Answer: D**", "D")]
    [InlineData("\u2705 Final Answer: **73**", "73")]
    [InlineData("The correct answer is (B) 42.", "(B)")]
    [InlineData("La respuesta es 12.", "12")]
    [InlineData("Respuesta final: $\\frac{1}{2}$", "\\frac{1}{2}")]
    [InlineData("Es gibt 3 Wege. Die Antwort ist 12.", "12")]
    [InlineData("Antwort: 12 \u00c4pfel", "12 \u00c4pfel")]
    [InlineData("La r\u00e9ponse est 12.", "12")]
    [InlineData("R\u00e9ponse : 12", "12")]
    [InlineData("A resposta \u00e9 12.", "12")]
    [InlineData("La risposta \u00e8 12.", "12")]
    [InlineData("\u6240\u4ee5\u7b54\u6848\u662f12\u3002", "12")]
    [InlineData("\u7b54\u6848\uff1a12", "12")]
    [InlineData("\u7b54\u3048\u306f12\u3067\u3059\u3002", "12")]
    [InlineData("\uc815\ub2f5: 12", "12")]
    [InlineData("\u041e\u0442\u0432\u0435\u0442: 12", "12")]
    [InlineData("It is not 5, it is 6.", "6")]
    [InlineData("It is not 5", null)]
    [InlineData("La respuesta no es 7.", null)]
    [InlineData("\u7b54\u6848\u4e0d\u662f7\u3002", null)]
    [InlineData("Adding both gives 2x = 34.\n\nTherefore, x = 17.", "x = 17")]
    [InlineData("Adding both gives x - 1 > 5.\nTherefore, x > 6.", "x > 6")]
    [InlineData("The lines meet at one point. Their intersection is **(2, 3)**.", "(2, 3)")]
    [InlineData("We try it. Hence the probability is $\\dfrac{5}{8}$.", "\\dfrac{5}{8}")]
    [InlineData("We factor. Hence $x = 1$ or $x = 4$.", "x = 1 or x = 4")]
    [InlineData("<|begin_of_box|>13<|end_of_box|>", "13")]
    [InlineData("The correct answer is option D: all of them.", "D")]
    public void Find_InATextOfAModel_GivesTheFinalAnswer(string text, string? answer) => Assert.Equal(answer, FinalAnswer.Find(text));

    [Fact]
    public void Find_ABoxFarFromTheEnd_IsTheAnswer() =>
        Assert.Equal("7", FinalAnswer.Find($"So \\boxed{{7}}. {string.Concat(Enumerable.Repeat("Let us check 3 again. ", 2_000))}"));

    [Fact]
    public void Find_AStatementFarFromTheEnd_IsNotLookedFor() =>
        Assert.Equal("3", FinalAnswer.Find($"The answer is 7. {string.Concat(Enumerable.Repeat("Let us check 3 again. ", 2_000))}"));
}
