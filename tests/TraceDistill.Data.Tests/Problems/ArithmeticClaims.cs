using System.Text.RegularExpressions;

namespace TraceDistill.Data.Tests.Problems;

/// <summary>
/// Finds the arithmetic that a text states (<c>7 + 8 = 15</c>, <c>3 &lt; 7</c>, <c>45 / 7 is 6 remainder 3</c>) and checks it.
/// </summary>
static partial class ArithmeticClaims
{
    /// <summary>The claims that do not hold, and how many there are in all.</summary>
    public static (int Count, IReadOnlyList<string> Wrong) Check(string text)
    {
        var claims = Equalities()
            .Matches(text)
            .Select(match => (match.Value, Holds: Equal(match)))
            .Concat(Orders().Matches(text).Select(match => (match.Value, Holds: Ordered(match))))
            .ToArray();
        return (claims.Length, [.. claims.Where(claim => !claim.Holds).Select(claim => claim.Value)]);
    }

    static bool Equal(Match match)
    {
        var terms = match.Groups["term"].Captures.Select(capture => long.Parse(capture.Value)).ToArray();
        var operators = match.Groups["op"].Captures.Select(capture => capture.Value).ToArray();
        var value = long.Parse(match.Groups["value"].Value);
        var remainder = match.Groups["remainder"].Success ? long.Parse(match.Groups["remainder"].Value) : 0;
        if (operators is ["/"])
        {
            return value * terms[1] + remainder == terms[0] && remainder < terms[1];
        }
        if (operators is [" mod "])
        {
            return terms[0] % terms[1] == value;
        }
        var result = terms[0];
        for (var i = 0; i < operators.Length; i++)
        {
            result = operators[i] switch
            {
                "+" => result + terms[i + 1],
                "-" => result - terms[i + 1],
                "*" => result * terms[i + 1],
                _ => long.MinValue,
            };
        }
        return result == value;
    }

    static bool Ordered(Match match)
    {
        var (a, b) = (long.Parse(match.Groups[1].Value), long.Parse(match.Groups[3].Value));
        return match.Groups[2].Value switch
        {
            "<" => a < b,
            ">" => a > b,
            _ => a == b,
        };
    }

    [GeneratedRegex(
        @"(?<![*+/-]|x)\b(?<term>\d+)((?<op>[*+/-]| mod )(?<term>\d+))+(=| is | gives | makes )(?<value>\d+)( remainder (?<remainder>\d+))?"
    )]
    private static partial Regex Equalities();

    [GeneratedRegex(@"(?<![*+/-]|mod )\b(\d+)([<>=])(?=(\d+))")]
    private static partial Regex Orders();
}
