using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.RegularExpressions;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Objectives;
using Xunit;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>Which objective goes with which policy: the table of the README is what the code says.</summary>
public partial class MissingMassTests
{
    static readonly Dictionary<string, IObjective> Objectives = new IObjective[]
    {
        new CrossEntropy(),
        new ForwardDivergence(1, MissingMass.TailBucket),
        new UniversalLogit(),
        new ZLoss(),
    }.ToDictionary(objective => objective.GetType().Name);

    [Fact]
    public void Readme_Table_HasEveryObjectiveAndNoOther() =>
        Assert.Equal(
            typeof(IObjective)
                .Assembly.GetTypes()
                .Where(type => type.IsClass && type.IsAssignableTo(typeof(IObjective)))
                .Select(type => type.Name)
                .Order(StringComparer.Ordinal),
            Rows().Keys.Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Refuses_EveryPair_IsWhatTheTableOfTheReadmeSays()
    {
        foreach (var (name, policies) in Rows())
        {
            var objective = Objectives[name];
            var isInvolved = policies != "none is involved";
            Assert.Equal(isInvolved, objective.NeedsSoftTargets);
            foreach (var policy in Enum.GetValues<MissingMass>())
            {
                var refused = objective.Refuses(policy) is not null;
                Assert.True(isInvolved || !refused, $"{name} refuses {policy}");
                if (isInvolved)
                {
                    var mention = Regex.Match(policies, $"`{NameOf(policy)}`(?<refused> is refused)?");
                    Assert.True(mention.Success, $"the table does not say whether {name} goes with {NameOf(policy)}");
                    Assert.Equal(mention.Groups["refused"].Success, refused);
                }
            }
        }
    }

    [Theory]
    [InlineData(MissingMass.TailBucket)]
    [InlineData(MissingMass.Renormalize)]
    public void Validate_AllObjectives_RefusesThosePairsByNameThatTheObjectivesRefuse(MissingMass policy)
    {
        var settings = new DistillationSettings(0.5, 2, policy, UldWeight: 1, ZLossWeight: 1);
        var options = new TrainOptions
        {
            Traces = [new TraceSet { Path = "traces" }],
            Student = "model",
            KdMissingMass = policy,
            KdUldWeight = 1,
            ZLossWeight = 1,
        };
        string[] expected =
        [
            .. settings
                .Terms()
                .Where(term => term.Objective.Refuses(policy) is not null)
                .Select(term => $"{NameOf(policy)} does not go with the objective {term.Name}: "),
        ];

        ValidationResult[] problems = [.. options.Validate(new ValidationContext(options))];

        Assert.Equal(Objectives.Keys.Order(), settings.Terms().Select(term => term.Objective.GetType().Name).Order());
        Assert.Equal(expected.Length, problems.Length);
        foreach (var (start, problem) in expected.Zip(problems))
        {
            Assert.StartsWith(start, problem.ErrorMessage);
            Assert.EndsWith("; take tail_bucket", problem.ErrorMessage);
            Assert.Equal([nameof(TrainOptions.KdMissingMass)], problem.MemberNames);
        }
    }

    /// <summary>The objectives of the README's table and their last columns.</summary>
    static Dictionary<string, string> Rows()
    {
        var readme = File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "src/TraceDistill.Training/README.md"));
        var section = readme[readme.IndexOf("\n## Objectives\n", StringComparison.Ordinal)..];
        section = section[..section.IndexOf("\n### ", StringComparison.Ordinal)];
        return Row().Matches(section).ToDictionary(row => row.Groups["name"].Value, row => row.Groups["policies"].Value);
    }

    static string NameOf(MissingMass policy) => JsonNamingPolicy.SnakeCaseLower.ConvertName(policy.ToString());

    [GeneratedRegex(@"^\| `(?<name>\w+)` \|.*\| (?<policies>[^|]+) \|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
