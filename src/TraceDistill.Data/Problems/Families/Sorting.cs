namespace TraceDistill.Data.Problems.Families;

/// <summary>Three to five two-digit numbers, sorted by picking the smallest or the largest again and again.</summary>
sealed class Sorting : IProblemFamily
{
    public string Name => "sorting";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var ascending = write.Chance(0.6);
        var numbers = Numbers(write, write.Pick(3, 4, 5));
        var all = string.Join(' ', numbers);
        var order = ascending
            ? write.Pick("from smallest to largest", "from low to high")
            : write.Pick("from largest to smallest", "from high to low");
        var text = write.Pick(
            $"sort {all} {order}.",
            $"put {all} in order {order}.",
            $"order the numbers {all} {order}.",
            $"write {all} in order {order}."
        );
        var answer = string.Join(' ', ascending ? numbers.Order() : numbers.OrderDescending());
        write.Say(write.Pick($"we have {all}.", $"start with {all}.", $"the numbers are {all}."));
        PickOneByOne(write, [.. numbers], ascending);
        if (write.Chance(0.2))
        {
            write.Say("check: " + string.Join(ascending ? "<" : ">", answer.Split(' ')) + ".");
        }
        write.Conclude(answer);
        return new ProblemDraft($"{(ascending ? "up" : "down")} {string.Join(' ', numbers.Order())}", text, write.ToString(), answer);
    }

    static int[] Numbers(SolutionWriter write, int count)
    {
        var numbers = new HashSet<int>();
        while (numbers.Count < count)
        {
            numbers.Add(write.Between(10, 99));
        }
        return [.. numbers];
    }

    /// <summary>Picks from the front of the result, or from its end and then builds the list backwards.</summary>
    static void PickOneByOne(SolutionWriter write, List<int> left, bool ascending)
    {
        var fromFront = write.Chance(0.7);
        var smallest = ascending == fromFront;
        var result = new List<int>();
        while (left.Count > 1)
        {
            var picked = smallest ? left.Min() : left.Max();
            left.Remove(picked);
            result.Insert(fromFront ? result.Count : 0, picked);
            var word = smallest ? "smallest" : "largest";
            var step =
                $"{write.Pick("the ", "", "now the ")}{word} is {picked}, "
                + $"{write.Pick("left", "this leaves", "we have left")} {string.Join(' ', left)}";
            write.Say(result.Count > 1 ? $"{step}, {write.Pick("so far", "sorted")} {string.Join(' ', result)}." : $"{step}.");
        }

        write.Say(write.Pick($"the last is {left[0]}.", $"only {left[0]} is left.", $"{write.So()} {left[0]} is the last."));
    }
}
