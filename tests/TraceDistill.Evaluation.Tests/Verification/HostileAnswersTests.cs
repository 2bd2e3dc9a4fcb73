using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification;

/// <summary>Texts made to take a grader's time, memory or stack. Every one ends within the limit and none is correct.</summary>
public sealed class HostileAnswersTests
{
    static readonly Dictionary<string, (string Text, string Expected)> Texts = new()
    {
        ["line breaks"] = (Repeat("\n", 160_000), "5"),
        ["underscores"] = (Repeat("_", 160_000), "5"),
        ["asterisks"] = (Repeat("*", 160_000), "5"),
        ["asterisks behind the word answer"] = ("answer" + Repeat("*", 160_000), "5"),
        ["line breaks behind the word answer"] = ("answer" + Repeat("\n", 160_000), "5"),
        ["answers"] = (Repeat("answer ", 50_000), "5"),
        ["denied answers"] = (Repeat("answer is not ", 50_000), "5"),
        ["headlines"] = (Repeat("#### ", 100_000), "5"),
        ["words"] = (Repeat("word ", 100_000), "5"),
        ["numbers"] = (Repeat("1 ", 200_000) + "2", "5"),
        ["braces"] = (Boxed(Repeat("{", 100_000) + Repeat("}", 100_000)), "5"),
        ["open boxes"] = (Repeat("\\boxed{", 100_000), "5"),
        ["boxes in boxes"] = (Repeat("\\boxed{", 100_000) + Repeat("}", 100_000), "5"),
        ["boxes in a row"] = (Repeat("\\boxed{6},", 100_000), "5"),
        ["names of boxes"] = (Repeat("\\boxed as ", 100_000), "5"),
        ["power tower"] = (Boxed("9^{9^{9}}"), "5"),
        ["high power tower"] = (Boxed(Repeat("9^", 900) + "9"), "5"),
        ["factorial"] = (Boxed("10000000!"), "5"),
        ["factorials of factorials"] = (Boxed("((3000!)!)!"), "5"),
        ["long decimal"] = (Boxed("0." + Repeat("3", 1_900)), "1/3"),
        ["longer number"] = (Boxed(Repeat("9", 160_000)), "5"),
        ["large exponent"] = (Boxed("1e999999999"), "5"),
        ["small exponent"] = (Boxed("10^{-10000000000}"), "0"),
        ["parentheses"] = (Boxed(Repeat("(", 900) + "6" + Repeat(")", 900)), "5"),
        ["brackets of two kinds"] = (Boxed(Repeat("([", 19) + "6" + Repeat("])", 19)), "5"),
        ["signs"] = (Boxed(Repeat("-", 1_800) + "6"), "5"),
        ["fractions"] = (Boxed(Repeat("\\frac{1}{", 180) + "6" + Repeat("}", 180)), "5"),
        ["roots"] = (Boxed(Repeat("\\sqrt", 350) + "6"), "5"),
        ["functions"] = (Boxed(Repeat("\\sin", 350) + " x"), "5"),
        ["texts"] = (Boxed(Repeat("\\text{", 250) + "6" + Repeat("}", 250)), "5"),
        ["power of a sum"] = (Boxed("(a+b+c+d+e+f)^{40}"), "(a+b+c+d+e+f)^{39}"),
        ["powers of powers of sums"] = (Boxed("((((x+1)^{40}+y)^{40}+z)^{40}+1)^{40}"), "x"),
        ["sum of fractions"] = (Boxed(string.Join('+', Enumerable.Range(1, 90).Select(i => $"\\frac{{1}}{{x+{i}}}"))), "5"),
        ["lists of formulas"] = (
            Boxed(string.Join(',', Enumerable.Range(1, 40).Select(i => $"\\sin {i}x"))),
            string.Join(',', Enumerable.Range(1, 40).Select(i => $"\\cos {i}x"))
        ),
        ["root of a large number"] = (Boxed($"\\sqrt{{{Repeat("9", 75)}7}}"), "5"),
        ["high root"] = (Boxed("\\sqrt[1000000]{2}"), "1"),
        ["sum of factorials"] = (Boxed(string.Join('+', Enumerable.Range(1, 300).Select(i => $"{2999 - i}!"))), "7"),
        ["lists of roots"] = (
            Boxed(string.Join(',', Enumerable.Range(1, 40).Select(i => $"\\sqrt{{{i}x+y}}"))),
            string.Join(',', Enumerable.Range(1, 40).Select(i => $"\\sqrt{{{i}y+x}}"))
        ),
        ["almost a unit"] = (Boxed($"5 aa{Repeat(". b", 60)} 1"), "5"),
    };

    public static TheoryData<string> Names => [.. Texts.Keys];

    [Theory(Timeout = 20_000)]
    [MemberData(nameof(Names))]
    public async Task Verify_AHostileText_EndsSoonAndIsNotCorrect(string name)
    {
        var (text, expected) = Texts[name];
        var (verdict, bytes) = await Task.Run(
            () =>
            {
                var start = GC.GetAllocatedBytesForCurrentThread();
                return (Verify(text, expected), GC.GetAllocatedBytesForCurrentThread() - start);
            },
            TestContext.Current.CancellationToken
        );

        Assert.NotEqual(Verdict.Correct, verdict);
        Assert.InRange(bytes, 0, 200L << 20);
    }

    /// <summary>A text is a box of what the engine refuses to work out: nothing says that it is wrong.</summary>
    [Theory]
    [InlineData("power tower")]
    [InlineData("factorial")]
    [InlineData("large exponent")]
    [InlineData("parentheses")]
    [InlineData("braces")]
    [InlineData("longer number")]
    [InlineData("sum of factorials")]
    public void Verify_WhatIsTooLargeToWorkOut_IsUnverified(string name) =>
        Assert.Equal(Verdict.Unverified, Verify(Texts[name].Text, Texts[name].Expected));

    /// <summary>Pieces of LaTeX in random order: whatever is read, nothing but a verdict comes out.</summary>
    [Fact]
    public void Verify_PiecesOfLatexInRandomOrder_GivesAVerdict()
    {
        string[] pieces =
        [
            "\\frac",
            "{",
            "}",
            "1",
            "12",
            "x",
            "ab",
            "\\sqrt",
            "[",
            "]",
            "(",
            ")",
            "^",
            "_",
            "+",
            "-",
            "/",
            "=",
            "<",
            "\\le",
            ",",
            ";",
            " ",
            "\\text{",
            "cm",
            "\\cup",
            "\\{",
            "\\}",
            "\\pm",
            "!",
            "%",
            "^\\circ",
            "\\infty",
            "\\in",
            "\\pi",
            "\\sin",
            "\\log",
            "|",
            "\\begin{pmatrix}",
            "\\end{pmatrix}",
            "&",
            "\\\\",
            "\\mod",
            "\\pmod",
            ":",
            ".",
            "$",
            "\\$",
            "and",
            "or",
            "not",
            "\\overline",
            "\\binom",
            "pm",
            "e",
            "i",
            "0",
            "\\mathbb{R}",
            "\\setminus",
            "\\mathrm{",
            "\\approx",
            "\\equiv",
            "\\angle",
            "'",
            "f(",
            "million",
            "\\lfloor",
            "°",
            "\\left",
            "answer is ",
            "dogs",
            "1,000",
        ];
        var random = new Random(5);
        for (var i = 0; i < 4_000; i++)
        {
            var (expected, given) = (Soup(), Soup());
            Assert.True(Enum.IsDefined(Verify(Boxed(given), expected)));
            Assert.True(Enum.IsDefined(Verify(given, expected)));
        }

        string Soup() => string.Concat(Enumerable.Range(0, random.Next(1, 14)).Select(_ => pieces[random.Next(pieces.Length)]));
    }

    static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));

    static string Boxed(string content) => $"\\boxed{{{content}}}";

    static Verdict Verify(string text, string expected) =>
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
