using System.Text.RegularExpressions;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>
/// Expressions over text or patterns from outside: one that backtracks for hours needs a few
/// dozen characters, so that every one has a limit.
/// </summary>
public sealed partial class RegexTimeTests
{
    [Fact]
    public void Regex_AnywhereInTheProgram_HasATimeLimitOrCannotBacktrack()
    {
        var folder = Path.Combine(TestPaths.RepositoryRoot, "src");
        var uses = Directory
            .EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .SelectMany(file =>
                Use().Matches(File.ReadAllText(file)).Select(match => (File: Path.GetRelativePath(folder, file), Call: match.Value))
            )
            .ToList();

        Assert.True(uses.Count > 30, $"only {uses.Count} found");
        Assert.Empty(uses.Where(use => !Limit().IsMatch(use.Call)).Select(use => $"{use.File}: {use.Call}"));
    }

    /// <summary>A call with its arguments, up to the end of the statement or attribute.</summary>
    [GeneratedRegex(
        @"\[GeneratedRegex\(.*?\)\](?=\r?\n)"
            + @"|(?:\bnew Regex|(?<![.\w])Regex\.(?:IsMatch|Match|Matches|Count|Replace|Split|EnumerateMatches))\(.*?\)(?=;|\r?\n)"
            + @"|\bRegex \w+ = new\(.*?\);|\bRegex \w+\([^)]*\) => new\(.*?\);",
        RegexOptions.Singleline,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex Use();

    /// <summary>A limit, or options without backtracking, which a constant of the name Linear stands for.</summary>
    [GeneratedRegex(
        @"matchTimeoutMilliseconds|NonBacktracking|\bLinear\b|TimeSpan|MatchLimit",
        RegexOptions.None,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex Limit();
}
