using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.RegularExpressions;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using Xunit;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>Which objective goes with which policy: the table of the README is what the code says.</summary>
public partial class MissingMassTests
{
    static readonly string[] Policies = [.. Enum.GetValues<MissingMass>().Select(NameOf)];

    [Fact]
    public void Readme_Table_HasEveryObjectiveAndNoOther()
    {
        Assert.Equal(KnownObjectives.All.Keys.Order(StringComparer.Ordinal), Rows().Keys.Order(StringComparer.Ordinal));
        Assert.Equal(
            typeof(TokenObjective)
                .Assembly.GetTypes()
                .Where(type => type.IsPublic && !type.IsAbstract && type.IsAssignableTo(typeof(TokenObjective)))
                .ToHashSet(),
            KnownObjectives.All.Values.Select(objective => objective.GetType()).ToHashSet()
        );
    }

    [Fact]
    public void Refuses_EveryPair_IsWhatTheTableOfTheReadmeSays()
    {
        foreach (var (name, cells) in Rows())
        {
            var objective = KnownObjectives.All[name];
            foreach (var (policy, cell) in Enum.GetValues<MissingMass>().Zip(cells))
            {
                var expected =
                    !objective.NeedsSoftTargets ? "·"
                    : objective.NeedsDenseTeacher || objective.Refuses(policy) is not null ? "–"
                    : "✓";
                Assert.True(expected == cell, $"{name} with {NameOf(policy)}: the table says {cell}, the code {expected}");
            }
        }
    }

    [Fact]
    public void Validate_EveryPair_RefusesByNameWhatTheObjectiveRefuses()
    {
        foreach (var (name, objective) in KnownObjectives.All)
        {
            foreach (var policy in Enum.GetValues<MissingMass>())
            {
                var options = new TrainOptions
                {
                    Traces = [new TraceSet { Path = "traces" }],
                    Student = "model",
                    Objectives = [KnownObjectives.Choice(name)],
                    KdMissingMass = policy,
                };

                ValidationResult[] problems = [.. options.Validate(new ValidationContext(options))];

                string[] expected =
                [
                    .. objective.Refuses(policy) is { } reason
                        ? [$"{NameOf(policy)} does not go with the objective {objective.Name}: {reason}; take "]
                        : Array.Empty<string>(),
                    .. objective.NeedsDenseTeacher ? [$"{objective.Name} compares all logits"] : Array.Empty<string>(),
                ];
                Assert.Equal(expected.Length, problems.Length);
                Assert.All(expected.Zip(problems), pair => Assert.StartsWith(pair.First, pair.Second.ErrorMessage));
            }
        }
    }

    /// <summary>The objectives of the README's table and their cells by policy.</summary>
    static Dictionary<string, string[]> Rows()
    {
        var readme = File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "src/TraceDistill.Training/README.md"));
        var section = readme[readme.IndexOf("\n## Objectives\n", StringComparison.Ordinal)..];
        section = section[..section.IndexOf("\n### ", StringComparison.Ordinal)];
        Assert.Contains($"| {string.Join(" | ", Policies.Select(policy => $"`{policy}`"))} |", section);
        return Row()
            .Matches(section)
            .ToDictionary(row => row.Groups["name"].Value, row => row.Groups["cells"].Value.Split('|', StringSplitOptions.TrimEntries));
    }

    static string NameOf(MissingMass policy) => JsonNamingPolicy.SnakeCaseLower.ConvertName(policy.ToString());

    [GeneratedRegex(@"^\| `(?<name>\w+)` \|.*\| (?<cells>[·–✓](?: \| [·–✓]){4}) \|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
