using System.Text.RegularExpressions;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Reads a recipe file and fills in its parameters and the <c>--set</c> overrides of the command line.</summary>
/// <remarks>
/// Top-level keys: <c>name</c>, <c>description</c>, <c>seed</c>, <c>jobs</c> (how many stages such as trainings run side by side, or
/// auto), <c>parameters</c> (names with default values, to be used as <c>${name}</c> in any value; one left empty must be given with
/// <c>--set name=value</c>) and <c>stages</c>.
/// </remarks>
static partial class RecipeReader
{
    static readonly string[] Keys = ["name", "description", "seed", "jobs", "parameters", "stages"];

    /// <summary>Names that the run directory needs for itself.</summary>
    static readonly string[] Reserved =
    [
        RunDirectory.RecipeFile,
        MetricsLog.FileName,
        ReportPage.FileName,
        RunSummary.FileName,
        RunDirectory.TensorBoardFolder,
    ];

    /// <param name="overrides">
    /// <c>NAME=VALUE</c> for a parameter, <c>seed</c> or <c>name</c>, and <c>STAGE.KEY=VALUE</c> for an option.
    /// </param>
    /// <exception cref="InvalidInputException">The file or an override is not understood.</exception>
    public static Recipe Read(string path, IReadOnlyList<string> overrides, ProblemList problems)
    {
        var root = YamlConfig.ReadFile(path);
        foreach (var entry in root.Entries.Where(entry => !Keys.Contains(entry.Key)))
        {
            problems.Add(entry.Location, "", $"unknown key \"{entry.Key}\"; {NearestName.Suggestion(entry.Key, Keys)}");
        }

        root = RecipeOverrides.Apply(root, overrides, problems);
        var parameters = Map(root, "parameters", problems)?.Entries ?? [];
        return new Recipe(
            Name(root, problems) ?? Path.GetFileNameWithoutExtension(path),
            path,
            Seed(root, problems),
            Jobs(root, problems),
            Stages(root, new RecipeParameters(parameters, problems), problems)
        );
    }

    static List<StageDefinition> Stages(ConfigMap root, RecipeParameters parameters, ProblemList problems)
    {
        var stages = new List<StageDefinition>();
        var entries = Map(root, "stages", problems)?.Entries ?? [];
        if (entries.Count == 0)
        {
            problems.Add(root.Location, "stages", "is required: give at least one named stage");
        }
        else if (entries.Count > MatrixExpander.MostCopies)
        {
            problems.Add(
                root["stages"]!.Location,
                "stages",
                $"holds {entries.Count:N0} stages, and {MatrixExpander.MostCopies:N0} is the most; give several recipes"
            );
            return stages;
        }

        foreach (var entry in entries)
        {
            if (!StageName().IsMatch(entry.Key) || Reserved.Contains(entry.Key))
            {
                problems.Add(
                    entry.Location,
                    entry.Key,
                    "not a stage name: use letters, digits, - and _, and not a name that the run directory itself uses"
                );
            }
            else if (entry.Value is ConfigMap settings)
            {
                stages.Add(new StageDefinition(entry.Key, entry.Location, (ConfigMap)parameters.FillIn(settings, entry.Key)));
            }
            else
            {
                problems.Add(entry.Location, entry.Key, $"expected a map such as {{ do: VERB, ... }}, found {TypeWords.Of(entry.Value)}");
            }
        }

        return stages;
    }

    /// <summary>It names the run directory, which has to stay below the current one.</summary>
    static string? Name(ConfigMap root, ProblemList problems)
    {
        var name = Text(root, "name", problems);
        if (name?.Text is { } text && !RunName().IsMatch(text))
        {
            problems.Add(name.Location, "name", $"\"{text}\" cannot name a folder: use letters, digits, . - and _");
        }

        return name?.Text;
    }

    static ConfigScalar? Seed(ConfigMap root, ProblemList problems)
    {
        var seed = Text(root, "seed", problems);
        if (seed?.Text is not { } text || ScalarBinder.Parse(typeof(int), text, out var problem) is not null)
        {
            return seed;
        }

        problems.Add(seed.Location, "seed", problem!);
        return null;
    }

    static JobLimit? Jobs(ConfigMap root, ProblemList problems)
    {
        var jobs = Text(root, "jobs", problems);
        if (jobs?.Text is not { } text)
        {
            return null;
        }

        var limit = (JobLimit?)ScalarBinder.Parse(typeof(JobLimit), text, out var problem);
        if (limit is null)
        {
            problems.Add(jobs.Location, "jobs", problem!);
        }

        return limit;
    }

    static ConfigMap? Map(ConfigMap root, string key, ProblemList problems)
    {
        if (root[key] is not null and not ConfigMap)
        {
            problems.Add(root[key]!.Location, key, $"expected a map, found {TypeWords.Of(root[key]!)}");
        }

        return root[key] as ConfigMap;
    }

    static ConfigScalar? Text(ConfigMap root, string key, ProblemList problems)
    {
        if (root[key] is not null and not ConfigScalar { Text: not null })
        {
            problems.Add(root[key]!.Location, key, $"expected one value, found {TypeWords.Of(root[key]!)}");
        }

        return root[key] as ConfigScalar;
    }

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_-]*$", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex StageName();

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9._-]*$", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex RunName();
}
