using System.Text.RegularExpressions;
using TraceDistill.Data.Problems;

namespace TraceDistill.Cli.Synthesis;

/// <summary>Texts of problems that may not come (again), whatever their spaces and capitals are.</summary>
sealed partial class KnownTexts
{
    readonly HashSet<string> _texts = [];

    /// <returns>False where it was there already.</returns>
    public bool Add(Problem problem) => _texts.Add(Normal(problem));

    public bool Contains(Problem problem) => _texts.Contains(Normal(problem));

    static string Normal(Problem problem) => SpacePattern().Replace(problem.Text.Trim(), " ").ToUpperInvariant();

    [GeneratedRegex(@"\s+", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex SpacePattern();
}
