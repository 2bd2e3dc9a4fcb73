namespace TraceDistill.Data.Problems.Families;

/// <summary>The next term of a sequence whose steps are constant, growing, or alternate between two values, upwards or downwards.</summary>
sealed class Sequence : IProblemFamily
{
    public string Name => "sequence";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var steps = Steps(write);
        var down = write.Chance(0.35);
        var start = down ? write.Between(steps.Sum() + 1, 95) : write.Between(2, 60);
        var terms = new List<int> { start };
        foreach (var step in steps)
        {
            terms.Add(down ? terms[^1] - step : terms[^1] + step);
        }
        var (shown, answer) = (terms[..^1], terms[^1]);
        var list = string.Join(", ", shown);
        var text = write.Pick(
            $"what is the next number: {list}?",
            $"find the next number in {list}.",
            $"which number is next in {list}?",
            $"what number comes after {list}?"
        );
        Explain(write, shown, steps, down);
        write.Conclude($"{answer}");
        return new ProblemDraft(list, text, write.ToString(), $"{answer}");
    }

    /// <summary>The steps between shown terms and, last, the step to the answer.</summary>
    static int[] Steps(SolutionWriter write)
    {
        var count = write.Pick(4, 5);
        var (first, second) = (write.Between(2, 9), write.Between(2, 9));
        return write.Between(0, 3) switch
        {
            0 => [.. Enumerable.Repeat(first, count)],
            1 => [.. Enumerable.Range(Math.Min(first, second), count)],
            _ => [.. Enumerable.Range(0, count).Select(i => i % 2 == 0 ? first : second)],
        };
    }

    static void Explain(SolutionWriter write, List<int> shown, int[] steps, bool down)
    {
        var direction = down ? "down" : "up";
        write.Say(write.Pick($"the numbers go {direction}.", $"we go {direction} here.", $"they go {direction}."));
        write.Say(write.Pick("look at the steps.", "we find the steps.", "first the steps."));
        var facts = steps[..^1]
            .Select(
                (step, i) =>
                {
                    var (low, high) = down ? (shown[i + 1], shown[i]) : (shown[i], shown[i + 1]);
                    return write.Chance(0.75) ? $"{high}-{low}{write.Is()}{step}" : $"{low}+{step}{write.Is()}{high}";
                }
            );
        write.Say(string.Join(", ", facts) + ".");
        write.Say(
            $"{write.Pick("the steps are", "we have steps")} {string.Join(' ', steps[..^1])}, "
                + $"{write.Pick("the next step is", "next is", "so the next is")} {steps[^1]}."
        );
        write.Say($"{write.Pick("now", "we need", "next")} {shown[^1]}{(down ? '-' : '+')}{steps[^1]}.");
        if (down)
        {
            ColumnArithmetic.Subtract(write, shown[^1], steps[^1]);
        }
        else
        {
            ColumnArithmetic.Add(write, shown[^1], steps[^1]);
        }
    }
}
