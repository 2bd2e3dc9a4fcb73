using System.Text.RegularExpressions;
using TraceDistill.Data.Problems;

namespace TraceDistill.Data.Tests.Problems;

/// <summary>
/// What a generated problem asks, recovered from its text without the wording and without the order of operands that may be swapped.
/// </summary>
static partial class CanonicalQuestion
{
    public static string Of(Problem problem)
    {
        var text = problem.Text;
        var numbers = Numbers().Matches(text).Select(match => int.Parse(match.Value)).ToArray();
        var asked = problem.Family switch
        {
            "sequence" => string.Join(' ', numbers),
            "story2" or "story4" => string.Join("; ", text.Split('.').Select(Event)),
            "equation" => Sides(text),
            "modular" => $"{text.Contains('*')} {numbers[^1]} {string.Join(' ', numbers[..^1].Order())}",
            "clock" => $"{Regex.Match(text, @"\d+:\d+")} {Regex.Match(text, @"\d+ hours? and \d+")} {Regex.IsMatch(text, "later|after")}",
            "comparison" => $"{text.Contains("larg", StringComparison.Ordinal)} {string.Join(' ', numbers.Order())}",
            _ => string.Join(' ', numbers.Order()),
        };
        return $"{asked} => {problem.Answer}";
    }

    static string Event(string sentence)
    {
        var sign = Regex.IsMatch(sentence, "gives away|sells|loses") ? '-' : '+';
        return sign + string.Join('*', Numbers().Matches(sentence).Select(match => match.Value));
    }

    static string Sides(string text)
    {
        var equation = Regex.Match(text, @"[\dx*+-]+=\d+").Value.Split("=");
        var terms = equation[0].Split('+').Select(term => term.Trim()).OrderBy(term => term.Contains('x'));
        return $"{string.Join(" + ", terms)} = {equation[1]}";
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Numbers();
}
