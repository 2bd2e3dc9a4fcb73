using System.Text.RegularExpressions;

namespace TraceDistill.Data.Tests.Problems;

/// <summary>Solves a generated problem from its text alone, by plain arithmetic that shares nothing with the generators.</summary>
static partial class IndependentSolver
{
    public static string Solve(string family, string text)
    {
        var n = Numbers().Matches(text).Select(match => int.Parse(match.Value)).ToArray();
        return family switch
        {
            "addition" => $"{n[0] + n[1]}",
            "subtraction" => $"{n.Max() - n.Min()}",
            "multiplication" => $"{n[0] * n[1]}",
            "division" => Quotient(n.Max(), n.Min()),
            "comparison" => $"{(text.Contains("larg", StringComparison.Ordinal) ? n.Max() : n.Min())}",
            "sorting" => string.Join(
                ' ',
                text.Contains("largest to", StringComparison.Ordinal) || text.Contains("high to", StringComparison.Ordinal)
                    ? n.OrderDescending()
                    : n.Order()
            ),
            "modular" => $"{(text.Contains('*') ? n[0] * n[1] % n[2] : n[..^1].Sum() % n[^1])}",
            "clock" => ClockTime(text),
            "equation" => Root(text),
            "sequence" => $"{Next(n)}",
            "story2" or "story4" => $"{StoryTotal(text)}",
            _ => throw new ArgumentException(family),
        };
    }

    static string Quotient(int a, int b) => a % b == 0 ? $"{a / b}" : $"{a / b} remainder {a % b}";

    static string ClockTime(string text)
    {
        var time = Regex.Match(text, @"(\d+):(\d\d)");
        var span = Regex.Match(text, @"(\d+) hours? and (\d+) minutes?");
        var start = int.Parse(time.Groups[1].Value) % 12 * 60 + int.Parse(time.Groups[2].Value);
        var delta = int.Parse(span.Groups[1].Value) * 60 + int.Parse(span.Groups[2].Value);
        var end = (start + (Regex.IsMatch(text, "later|after") ? delta : -delta) + 1440) % 720;
        return $"{(end / 60 == 0 ? 12 : end / 60)}:{end % 60:00}";
    }

    /// <summary>Tries every x.</summary>
    static string Root(string text)
    {
        var product = Regex.Match(text, @"(\d+)\*x");
        var a = int.Parse(product.Groups[1].Value);
        var constant = Regex.Match(text, @"\*x([+-])(\d+)|(\d+)\+\d+\*x");
        var b = constant.Groups[3].Success
            ? int.Parse(constant.Groups[3].Value)
            : int.Parse(constant.Groups[1].Value + constant.Groups[2].Value);
        var c = int.Parse(Regex.Match(text, @"=(\d+)").Groups[1].Value);
        return $"{Enumerable.Range(0, 1000).Single(x => a * x + b == c)}";
    }

    /// <summary>Constant first differences, constant second differences, or differences that alternate.</summary>
    static int Next(int[] n)
    {
        var steps = n.Zip(n.Skip(1), (a, b) => b - a).ToArray();
        var second = steps.Zip(steps.Skip(1), (a, b) => b - a).Distinct().ToArray();
        return second.Length == 1 ? n[^1] + steps[^1] + second[0] : n[^1] + steps[^2];
    }

    static int StoryTotal(string text)
    {
        var total = 0;
        foreach (var sentence in text.Split('.')[..^1])
        {
            var n = Numbers().Matches(sentence).Select(match => int.Parse(match.Value)).ToArray();
            var amount = n.Aggregate((a, b) => a * b);
            total += Regex.IsMatch(sentence, "gives away|sells|loses") ? -amount : amount;
        }

        return total;
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Numbers();
}
