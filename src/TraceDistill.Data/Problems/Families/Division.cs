namespace TraceDistill.Data.Problems.Families;

/// <summary>Long division of two or three digits by one digit, with remainder.</summary>
sealed class Division : IProblemFamily
{
    public string Name => "division";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var a = write.Chance(0.2) ? write.Between(20, 99) : write.Between(100, 999);
        var b = write.Between(2, 9);
        var text = write.Pick(
            $"what is {a}/{b}? give the remainder if there is one.",
            $"divide {a} by {b} with remainder.",
            $"compute {a}/{b} with remainder.",
            $"how many times does {b} go into {a}, and what is left?",
            $"if {b} friends share {a} coins, how many does each get and how many are left?"
        );
        write.Say(write.Pick($"we divide {a} by {b}.", $"we need {a}/{b}.", $"divide {a} by {b} from the left."));
        var (quotient, remainder) = ColumnArithmetic.Divide(write, a, b);
        if (write.Chance(0.25))
        {
            write.Say(remainder == 0 ? "check: nothing is left." : $"check: {remainder}<{b}.");
        }
        var answer = remainder == 0 ? $"{quotient}" : $"{quotient} remainder {remainder}";
        write.Conclude(answer);
        return new ProblemDraft($"{a} {b}", text, write.ToString(), answer);
    }
}
