namespace TraceDistill.Data.Problems.Families;

/// <summary>Linear equations a·x + b = c and a·x − b = c with a whole, positive solution.</summary>
sealed class Equation : IProblemFamily
{
    public string Name => "equation";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var a = write.Between(2, 9);
        var x = write.Chance(0.6) ? write.Between(2, 9) : write.Between(10, 40);
        var plus = write.Chance(0.6) || a * x < 4;
        var b = plus ? write.Between(2, 99) : write.Between(2, Math.Min(99, a * x - 1));
        var c = plus ? a * x + b : a * x - b;
        var equation = write.Pick($"{a}*x{(plus ? '+' : '-')}{b}={c}", plus ? $"{b}+{a}*x={c}" : $"{a}*x-{b}={c}");
        var text = write.Pick(
            $"solve {equation} for x.",
            $"find x if {equation}.",
            $"if {equation}, what is x?",
            $"what number x makes {equation}?"
        );
        write.Say(
            plus
                ? write.Pick($"we take {b} from {c}.", $"subtract {b} from both sides: {c}-{b}.", $"{a}*x is {c}-{b}.")
                : write.Pick($"we add {b} to {c}.", $"add {b} to both sides: {c}+{b}.", $"{a}*x is {c}+{b}.")
        );
        var rest = plus ? ColumnArithmetic.Subtract(write, c, b) : ColumnArithmetic.Add(write, c, b);
        write.Say(write.Pick($"{a}*x={rest}, now divide by {a}.", $"now divide {rest} by {a}.", $"next {rest}/{a}."));
        if (x < 10)
        {
            write.Say($"{write.Product(x, a)}, {write.So()} x{write.Pick("=", " is ")}{x}.");
        }
        else
        {
            ColumnArithmetic.Divide(write, rest, a);
        }
        write.Conclude($"{x}");
        return new ProblemDraft($"{a} {(plus ? '+' : '-')} {b} {c}", text, write.ToString(), $"{x}");
    }
}
