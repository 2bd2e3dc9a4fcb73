namespace TraceDistill.Data.Problems.Families;

/// <summary>Two or three digits times one digit, and two digits times a number in the teens, by partial products or row by row.</summary>
sealed class Multiplication : IProblemFamily
{
    public string Name => "multiplication";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var (a, b) = write.Between(0, 9) switch
        {
            < 4 => (write.Between(11, 99), write.Between(2, 9)),
            < 8 => (write.Between(101, 999), write.Between(2, 9)),
            _ => (write.Between(11, 99), write.Between(11, 19)),
        };
        var (first, second) = write.EitherOrder(a, b);
        var text = write.Pick(
            $"what is {first}*{second}?",
            $"multiply {first} by {second}.",
            $"compute {first}*{second}.",
            $"find the product of {first} and {second}.",
            $"what is {first} times {second}?"
        );
        write.Say(write.Pick($"we multiply {a} by {b}.", $"we need {a}*{b}.", $"multiply {a} by {b} in parts."));
        if (b > 9)
        {
            Rows(write, a, b);
        }
        else if (a < 100 && write.Chance(0.7))
        {
            PartialProducts(write, a, b);
        }
        else
        {
            ColumnArithmetic.MultiplyByDigit(write, a, b);
        }
        write.Conclude($"{a * b}");
        return new ProblemDraft($"{Math.Min(a, b)} {Math.Max(a, b)}", text, write.ToString(), $"{a * b}");
    }

    /// <summary>
    /// 34 · 7 as 30 · 7 and 4 · 7, in either order, then their sum. The split stands first, so
    /// that no later step has to find a digit's place.
    /// </summary>
    static void PartialProducts(SolutionWriter write, int a, int digit)
    {
        var (tens, ones) = (a / 10, a % 10);
        write.Say(write.Pick($"{a} is {10 * tens} and {ones}.", $"split {a}, {10 * tens} and {ones}."));
        var large = $"{write.Product(tens, digit)}, {write.So()} {10 * tens}*{digit}{write.Is()}{10 * tens * digit}.";
        var small = $"{write.Product(ones, digit)}.";
        var (first, second) = write.Chance(0.35) ? (small, large) : (large, small);
        write.Say(first);
        write.Say(second);
        AddParts(write, 10 * tens * digit, ones * digit);
    }

    /// <summary>23 · 14 as 23 · 4 and 23 · 10, then their sum.</summary>
    static void Rows(SolutionWriter write, int a, int b)
    {
        var small = ColumnArithmetic.MultiplyByDigit(write, a, b - 10);
        write.Say($"{write.Pick("now ", "")}{a}*10{write.Is()}{a * 10}.");
        AddParts(write, a * 10, small);
    }

    static void AddParts(SolutionWriter write, int a, int b)
    {
        write.Say($"{write.Pick("now add", "add", "next add")} {a} and {b}.");
        ColumnArithmetic.Add(write, a, b);
    }
}
