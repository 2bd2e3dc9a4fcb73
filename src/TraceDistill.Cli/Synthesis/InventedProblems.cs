using System.Globalization;
using System.Text.RegularExpressions;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;

namespace TraceDistill.Cli.Synthesis;

/// <summary>Problems that a teacher writes when it is shown some.</summary>
static partial class InventedProblems
{
    public const string Family = "invented";

    /// <summary>Longest problem in characters: what is longer is mostly no problem.</summary>
    const int MostCharacters = 4_000;

    /// <summary>Requests for new problems: each shows some in an order of its own.</summary>
    /// <param name="shown">Problems to choose from.</param>
    /// <param name="count">Number of requests.</param>
    /// <param name="examples">Problems that each shows, as far as there are so many.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="round">Of the search.</param>
    public static IReadOnlyList<Problem> Requests(IReadOnlyList<Problem> shown, int count, int examples, long seed, int round)
    {
        var random = new Random(unchecked((int)seed * 397) ^ round);
        return
        [
            .. Enumerable
                .Range(1, count)
                .Select(request => new Problem
                {
                    Id = string.Create(CultureInfo.InvariantCulture, $"invent-{round}-{request}"),
                    Text = string.Join("\n", Choose(random).Select((problem, index) => $"{index + 1}. {problem.Text}")),
                    Answer = "",
                    Family = Family,
                }),
        ];

        IEnumerable<Problem> Choose(Random random)
        {
            Problem[] order = [.. shown];
            random.Shuffle(order);
            return order.Take(examples);
        }
    }

    /// <summary>The problem that an answer of the teacher's is; null where it is none.</summary>
    public static Problem? Read(Trace trace)
    {
        var text = LeadPattern().Replace(trace.Answer.Trim(), "").Trim();
        return FinishReasons.IsNatural(trace.FinishReason) && text.Length is > 0 and <= MostCharacters
            ? new Problem
            {
                Id = ProblemId.Of(text),
                Text = text,
                Answer = "",
                Family = Family,
            }
            : null;
    }

    /// <summary>Words before a problem that are not of it: a number, or what it is called.</summary>
    [GeneratedRegex(
        @"^(\*\*)?(\d+[.)]\s+|(new\s+)?problem\s*(\d+\s*)?[:.]\s*(\*\*)?\s*)",
        RegexOptions.IgnoreCase,
        matchTimeoutMilliseconds: 1_000
    )]
    private static partial Regex LeadPattern();
}
