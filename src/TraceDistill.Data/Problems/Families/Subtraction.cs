namespace TraceDistill.Data.Problems.Families;

/// <summary>Column subtraction of numbers of two to four digits; the difference is never negative.</summary>
sealed class Subtraction : IProblemFamily
{
    public string Name => "subtraction";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var (a, b) = Operands.Pair(write);
        var text = write.Pick(
            $"what is {a}-{b}?",
            $"subtract {b} from {a}.",
            $"compute {a}-{b}.",
            $"find the difference of {a} and {b}.",
            $"what do we get if we take {b} from {a}?"
        );
        write.Say(write.Pick($"we take {b} from {a}.", $"we need {a}-{b}.", $"subtract {b} from {a} from the ones."));
        if (write.Chance(0.2))
        {
            write.Say(Operands.Aligned(a, b));
        }
        ColumnArithmetic.Subtract(write, a, b);
        if (write.Chance(0.2))
        {
            write.Say($"check: {write.Sum((a - b) % 10, b % 10)}, it ends in {a % 10}.");
        }
        write.Conclude($"{a - b}");
        return new ProblemDraft($"{a} {b}", text, write.ToString(), $"{a - b}");
    }
}
