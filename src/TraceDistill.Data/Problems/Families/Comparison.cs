namespace TraceDistill.Data.Problems.Families;

/// <summary>The largest or smallest of two to five numbers with equally many digits, compared digit by digit from the left.</summary>
sealed class Comparison : IProblemFamily
{
    public string Name => "comparison";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var largest = write.Chance(0.5);
        var numbers = Numbers(write, write.Pick(4, 3, 5, 2), write.Pick(3, 4, 2));
        var text = Text(write, largest, numbers);
        var order = write.Chance(0.25) ? numbers.Reverse().ToArray() : numbers;
        var best = order[0];
        write.Say(
            write.Pick(
                $"start with {best}.",
                $"we start with {best}.",
                $"first take {best}.",
                $"we look for the {(largest ? "largest" : "smallest")}. start with {best}."
            )
        );
        foreach (var next in order.Skip(1))
        {
            var kept = (next > best) == largest ? next : best;
            var verb = write.Pick("keep", "we keep", "take");
            write.Say(
                $"{write.Pick("compare", "next", "now")} {best} and {next}: "
                    + $"{Digits(write, best, next)}, {write.Pick("so ", "", "thus ")}{verb} {kept}."
            );
            best = kept;
        }

        write.Conclude($"{best}");
        var key = $"{(largest ? "largest" : "smallest")} {string.Join(' ', numbers.Order())}";
        return new ProblemDraft(key, text, write.ToString(), $"{best}");
    }

    /// <summary>Distinct numbers; half of them begin like an earlier one, so that later digits decide.</summary>
    static int[] Numbers(SolutionWriter write, int count, int digits)
    {
        var numbers = new List<int>();
        while (numbers.Count < count)
        {
            var number = Operands.OfLength(write, digits);
            if (numbers.Count > 0 && write.Chance(0.5))
            {
                var unit = write.Chance(0.6) || digits == 2 ? 10 : 100;
                number = numbers[^1] / unit * unit + write.Between(0, unit - 1);
            }

            if (!numbers.Contains(number))
            {
                numbers.Add(number);
            }
        }

        return [.. numbers];
    }

    static string Text(SolutionWriter write, bool largest, int[] numbers)
    {
        var word = largest ? "largest" : "smallest";
        var list = string.Join(", ", numbers[..^1]);
        var all = string.Join(", ", numbers);
        return write.Pick(
            $"which number is the {word}: {all}?",
            $"find the {word} of {list} and {numbers[^1]}.",
            $"what is the {word} of {all}?",
            $"which is {(largest ? "larger" : "smaller")} than the others: {list} or {numbers[^1]}?"
        );
    }

    /// <summary>Equal leading digits, then the first pair that differs: <c>4 = 4, 7 &lt; 9</c>.</summary>
    static string Digits(SolutionWriter write, int a, int b)
    {
        var steps = new List<string>();
        for (var place = ColumnArithmetic.Digits(a) - 1; ; place--)
        {
            var (x, y) = (ColumnArithmetic.DigitAt(a, place), ColumnArithmetic.DigitAt(b, place));
            steps.Add(
                x == y ? $"{x}={y}"
                : x < y ? $"{x}<{y}"
                : $"{x}>{y}"
            );
            if (x != y)
            {
                return string.Join(write.Pick(", ", " and "), steps);
            }
        }
    }
}
