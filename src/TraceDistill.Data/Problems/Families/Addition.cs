namespace TraceDistill.Data.Problems.Families;

/// <summary>Column addition of numbers of two to four digits.</summary>
/// <remarks>The pairs of four-digit numbers alone are 9000 · 9001 / 2 = 40,504,500 distinct problems.</remarks>
sealed class Addition : IProblemFamily
{
    public string Name => "addition";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var (a, b) = Operands.Pair(write);
        if (write.Chance(0.5))
        {
            (a, b) = (b, a);
        }
        var text = write.Pick(
            $"what is {a}+{b}?",
            $"add {a} and {b}.",
            $"find the sum of {a} and {b}.",
            $"compute {a}+{b}.",
            $"what do we get if we add {b} to {a}?"
        );
        write.Say(write.Pick($"we add {a} and {b}.", $"we need {a}+{b}.", $"add {a} and {b} from the ones."));
        if (write.Chance(0.2))
        {
            write.Say(Operands.Aligned(a, b));
        }
        ColumnArithmetic.Add(write, a, b);
        if (write.Chance(0.2))
        {
            write.Say($"check: {write.Sum(a % 10, b % 10)}, it ends in {(a + b) % 10}.");
        }
        write.Conclude($"{a + b}");
        return new ProblemDraft($"{Math.Min(a, b)} {Math.Max(a, b)}", text, write.ToString(), $"{a + b}");
    }
}
