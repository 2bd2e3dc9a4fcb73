using System.Text.RegularExpressions;
using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Recipes;

/// <summary>One stage, or one copy of a stage that a matrix repeats.</summary>
/// <param name="Name">The stage's folder, such as <c>student</c> or <c>student.1.500</c>.</param>
/// <param name="Family">The stage's name as it is written; all copies of a matrix share it.</param>
/// <param name="Coordinates">The matrix keys of this copy with the values as text; empty without a matrix.</param>
/// <param name="Location">Where the stage stands.</param>
/// <param name="Settings"><c>do</c> and the verb's options, the matrix values among them.</param>
sealed record StageCopy(
    string Name,
    string Family,
    IReadOnlyDictionary<string, string> Coordinates,
    SourceLocation Location,
    ConfigMap Settings
);

/// <summary>Repeats a stage for every combination of the values that its <c>matrix</c> gives for some of its keys.</summary>
static partial class MatrixExpander
{
    /// <summary>Three short lists of numbers can stand for a billion stages.</summary>
    public const int MostCopies = 1_000;

    /// <summary>
    /// Copies over the copies of another stage are named as those are: with <c>matrix: {model: [student.1, student.2]}</c> an export of
    /// <c>student.1</c> is <c>rounded.1</c>, so that a report can compare the two.
    /// </summary>
    /// <param name="stages">Names of all stages as they are written.</param>
    public static IEnumerable<StageCopy> Expand(StageDefinition stage, IReadOnlyCollection<string> stages, ProblemList problems)
    {
        var settings = stage.Settings.Without(StageDefinition.MatrixKey);
        var copies = new List<StageCopy> { new(stage.Name, stage.Name, new Dictionary<string, string>(), stage.Location, settings) };
        switch (stage.Settings[StageDefinition.MatrixKey])
        {
            case null:
                return copies;
            case ConfigMap matrix when CopiesOf(matrix) > MostCopies:
                problems.Add(
                    matrix.Location,
                    $"{stage.Name}.matrix",
                    $"comes to {CopiesOf(matrix):N0} copies, and {MostCopies:N0} is the most; give shorter lists, or several recipes"
                );
                return copies;
            case ConfigMap matrix:
                foreach (var axis in matrix.Entries)
                {
                    var values = Values(axis, stage.Name, problems);
                    string[] texts = [.. values.Select((value, i) => value is ConfigScalar { Text: { } scalar } ? scalar : $"{i + 1}")];
                    string[] names = [.. texts.Select(text => CopyIn(text, stages))];
                    names = names.Distinct().Count() == names.Length ? names : texts;
                    copies = [.. copies.SelectMany(copy => values.Select((value, i) => With(copy, axis, value, texts[i], names[i])))];
                }

                return copies;
            case var other:
                problems.Add(
                    other.Origin,
                    $"{stage.Name}.matrix",
                    $"expected keys with lists of values such as {{ seed: [1, 2, 3] }}, found {TypeWords.Of(other)}"
                );
                return copies;
        }
    }

    /// <summary>As a number that a few hundred lists cannot overflow.</summary>
    static double CopiesOf(ConfigMap matrix) =>
        matrix
            .Entries.Select(axis => axis.Value is ConfigList list ? list.Items.Count : 1)
            .Aggregate(1.0, (product, count) => product * count);

    static IReadOnlyList<ConfigNode> Values(ConfigEntry axis, string stage, ProblemList problems)
    {
        if (axis.Value is ConfigList { Items: { Count: > 0 } items })
        {
            return items;
        }

        problems.Add(axis.Value.Origin, $"{stage}.matrix.{axis.Key}", $"expected a list of values, found {TypeWords.Of(axis.Value)}");
        return [axis.Value];
    }

    /// <summary>The part behind the stage's name where a value is a copy of a stage, else the value.</summary>
    static string CopyIn(string value, IReadOnlyCollection<string> stages) =>
        stages.FirstOrDefault(name => value.StartsWith(name + ".", StringComparison.Ordinal)) is { } stage && !stages.Contains(value)
            ? value[(stage.Length + 1)..]
            : value;

    static StageCopy With(StageCopy copy, ConfigEntry axis, ConfigNode value, string text, string name) =>
        copy with
        {
            Name = $"{copy.Name}.{Unsafe().Replace(name, "-").TrimStart('.')}",
            Coordinates = new Dictionary<string, string>(copy.Coordinates) { [axis.Key] = text },
            Settings = copy.Settings.MergedWith(new ConfigMap(axis.Location, [axis with { Value = value }])),
        };

    [GeneratedRegex("[^A-Za-z0-9._-]+", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Unsafe();
}
