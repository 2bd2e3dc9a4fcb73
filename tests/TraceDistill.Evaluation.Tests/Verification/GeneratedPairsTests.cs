using System.Globalization;
using System.Numerics;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification;

/// <summary>
/// Pairs that are equal by construction, an object of integers written in two ways, and pairs that differ
/// by construction, the same with one integer changed. The integers decide; nothing of the engine does.
/// </summary>
public sealed class GeneratedPairsTests
{
    const int Rounds = 150;

    static readonly string[] Frames =
    [
        "\\boxed{@}",
        "Therefore, the final answer is $\\boxed{@}$.",
        "**Answer:** $@$",
        "Some steps.\n\nThe answer is $@$.",
        "\\fbox{@}",
        "It follows.\n#### @",
        "We get 3 and then\n\\[\n\\boxed{ @ }\n\\]\nas was asked.",
        "Final Answer: $@$",
    ];

    /// <summary>Integers, and their spellings; spellings of different integers from a draw are different answers.</summary>
    delegate string[] Form(int[] n);

    static readonly (string Name, Form Write)[] Forms =
    [
        ("fraction", n =>
            [
                Frac(n[0], n[1]),
                Frac(n[0] * n[3], n[1] * n[3]),
                $"{n[0]}/{n[1]}",
                $"\\dfrac{{{n[0] * n[2]}}}{{{n[1] * n[2]}}}",
                $"{n[0]} \\cdot {n[1]}^{{-1}}",
            ]
        ),
        ("decimal", n => [Decimal(n[0], 4), Frac(n[0], 10_000), $"{Decimal(n[0], 2)} \\times 10^{{-2}}", $"{n[0]}e-4"]),
        ("integer", n =>
            [
                $"{n[0]}",
                $"{n[0]}.0",
                n[0].ToString("#,##0", CultureInfo.InvariantCulture),
                $"{n[0] - 7}+7",
                $"\\text{{{n[0]}}}",
                $"x = {n[0]}",
            ]
        ),
        ("quadratic", n => [$"(x-{n[0]})(x-{n[1]})", $"x^2-{n[0] + n[1]}x+{n[0] * n[1]}", $"{n[0] * n[1]}+x^{{2}}-{n[0] + n[1]} x"]),
        ("cubic", n => [$"(x+{n[0]})^3", $"x^3+{3 * n[0]}x^2+{3 * n[0] * n[0]}x+{n[0] * n[0] * n[0]}"]),
        ("two variables", n => [$"{n[0]}ab+{n[1]}b^2", $"b({n[0]}a+{n[1]}b)", $"{n[1]}b^2+{n[0]}ba"]),
        ("surd", n =>
            [
                $"{n[0]}\\sqrt{{{2 * n[1] * n[1]}}}",
                $"{n[0] * n[1]}\\sqrt{{2}}",
                $"\\sqrt{{{2 * n[0] * n[0] * n[1] * n[1]}}}",
                $"\\frac{{{2 * n[0] * n[1]}}}{{\\sqrt{{2}}}}",
            ]
        ),
        ("conjugate", n => [$"\\frac{{1}}{{{n[0]}+\\sqrt{{3}}}}", $"\\frac{{{n[0]}-\\sqrt{{3}}}}{{{n[0] * n[0] - 3}}}"]),
        ("nested root", n => [$"\\sqrt{{{n[0] + n[1]}+2\\sqrt{{{n[0] * n[1]}}}}}", $"\\sqrt{{{n[0]}}}+\\sqrt{{{n[1]}}}"]),
        ("pi", n => [$"\\frac{{{n[0]}\\pi}}{{{n[1]}}}", $"\\frac{{{n[0]}}}{{{n[1]}}}\\pi", $"{n[0]}\\pi/{n[1]}"]),
        ("complex", n => [$"({n[0]}+{n[1]}i)^2", $"{(n[0] * n[0]) - (n[1] * n[1])}+{2 * n[0] * n[1]}i"]),
        ("power", n => [$"2^{{{n[0] + 3}}}", $"8\\cdot 2^{{{n[0]}}}", BigInteger.Pow(2, n[0] + 3).ToString(CultureInfo.InvariantCulture)]),
        ("exponential", n => [$"e^{{{n[0]}x+{n[1]}}}", $"e^{{{n[1]}}} e^{{{n[0]}x}}"]),
        ("logarithm", n => [$"\\ln {n[0]} + \\ln {n[1]}", $"\\ln({n[0] * n[1]})"]),
        ("trigonometry", n => [$"{n[0]}\\sin^2 x + {n[1]}", $"{n[0] + n[1]} - {n[0]}\\cos^2 x"]),
        ("point", n => [$"({n[0]}, {n[1]})", $"\\left({n[0]},\\frac{{{2 * n[1]}}}{{2}}\\right)", $"(x, y) = ({n[0]}, {n[1]})"]),
        ("list", n =>
            [
                $"{n[0]}, {n[0] + n[1]}, {n[0] + n[1] + n[2]}",
                $"{n[0] + n[1] + n[2]}, {n[0]}, {n[0] + n[1]}",
                $"{n[0] + n[1]}, {n[0]} \\text{{ and }} {n[0] + n[1] + n[2]}",
            ]
        ),
        ("plus minus", n => [$"{n[0]} \\pm \\sqrt{{{n[1] * 4}}}", $"{n[0]}-2\\sqrt{{{n[1]}}}, {n[0]}+2\\sqrt{{{n[1]}}}"]),
        ("interval", n =>
            [
                $"({n[0]}, {n[0] + n[1]}]",
                $"{n[0]} < x \\le {n[0] + n[1]}",
                $"x > {n[0]} \\text{{ and }} x \\leq {n[0] + n[1]}",
                $"x \\in ({n[0]}, {n[0] + n[1]}]",
            ]
        ),
        ("union", n =>
            [
                $"(-\\infty, {n[0]}) \\cup [{n[0] + n[1]}, \\infty)",
                $"[{n[0] + n[1]}, \\infty) \\cup (-\\infty, {n[0]})",
                $"x < {n[0]} \\text{{ or }} x \\ge {n[0] + n[1]}",
            ]
        ),
        ("line", n => [$"y = {n[0]}x + {n[1]}", $"{n[0]}x - y + {n[1]} = 0", $"{2 * n[0]}x = 2y - {2 * n[1]}", $"y={n[1]}+{n[0]}x"]),
        ("circle", n => [$"(x-{n[0]})^2+y^2={n[1] * n[1]}", $"x^2-{2 * n[0]}x+y^2+{(n[0] * n[0]) - (n[1] * n[1])}=0"]),
        ("matrix", n => [Matrix("pmatrix", n), Matrix("bmatrix", n)]),
        ("percent", n => [$"{n[0]}\\%", $"{n[0]}", $"\\frac{{{n[0]}}}{{100}}"]),
        ("length", n => [$"{n[0]} \\text{{ m}}", $"{100 * n[0]} \\text{{ cm}}", $"{n[0]}\\,\\mathrm{{m}}"]),
        ("rational function", n => [$"\\frac{{{n[0]}}}{{x}}+\\frac{{{n[1]}}}{{x+1}}", $"\\frac{{{n[0] + n[1]}x+{n[0]}}}{{x^2+x}}"]),
    ];

    [Fact]
    public void Verify_OneObjectWrittenInTwoWays_IsCorrect()
    {
        var counts = new Dictionary<Verdict, int>();
        var missed = new List<string>();
        foreach (var (form, random) in Draws(seed: 1))
        {
            var spellings = form.Write(Numbers(random));
            var (expected, given) = (spellings[random.Next(spellings.Length)], spellings[random.Next(spellings.Length)]);
            var text = Frames[random.Next(Frames.Length)].Replace("@", given, StringComparison.Ordinal);
            var verdict = Verify(text, expected);
            counts[verdict] = counts.GetValueOrDefault(verdict) + 1;
            if (verdict != Verdict.Correct)
            {
                missed.Add($"{form.Name}: {expected} | {text} is {verdict}");
            }
        }

        var total = (double)counts.Values.Sum();
        Assert.True(
            counts.GetValueOrDefault(Verdict.Incorrect) / total <= 0.02 && counts.GetValueOrDefault(Verdict.Unverified) / total <= 0.05,
            string.Join('\n', missed.Take(30))
        );
    }

    [Fact]
    public void Verify_AnObjectWithOneNumberChanged_IsNeverCorrect()
    {
        var wrong = new List<string>();
        foreach (var (form, random) in Draws(seed: 2))
        {
            var numbers = Numbers(random);
            var changed = (int[])numbers.Clone();
            changed[form.Name is "point" or "matrix" or "two variables" ? random.Next(2) : 0] += random.Next(1, 4);
            var (before, after) = (form.Write(numbers), form.Write(changed));
            if (form.Name == "fraction" && numbers[0] * changed[1] == changed[0] * numbers[1])
            {
                continue;
            }

            var (expected, given) = (before[random.Next(before.Length)], after[random.Next(after.Length)]);
            if (Verify(Frames[random.Next(Frames.Length)].Replace("@", given, StringComparison.Ordinal), expected) == Verdict.Correct)
            {
                wrong.Add($"{form.Name}: {expected} | {given}");
            }
        }

        Assert.Empty(wrong);
    }

    static IEnumerable<((string Name, Form Write), Random)> Draws(int seed)
    {
        var random = new Random(seed);
        return from round in Enumerable.Range(0, Rounds) from form in Forms select (form, random);
    }

    static int[] Numbers(Random random) => [random.Next(2, 40), random.Next(41, 90), random.Next(2, 12), random.Next(2, 9)];

    static string Frac(int above, int below) => $"\\frac{{{above}}}{{{below}}}";

    static string Decimal(int number, int places) =>
        ((decimal)number / (decimal)Math.Pow(10, places)).ToString(CultureInfo.InvariantCulture);

    static string Matrix(string name, int[] n) => $"\\begin{{{name}}} {n[0]} & {n[1]} \\\\ {n[2]} & {n[3]} \\end{{{name}}}";

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
