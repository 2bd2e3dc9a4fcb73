using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Recipes;
using TraceDistill.Data.Files;
using TraceDistill.Evaluation;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>Gathers the facts of a run from its directory. Only finished stages count; nothing is assumed about their names.</summary>
static class RunReader
{
    static readonly string[] TrainingVerbs = ["train", "pretrain"];

    /// <exception cref="InvalidInputException">
    /// There is no such directory, it holds no finished stage, or a file in it is damaged.
    /// </exception>
    public static async Task<RunFacts> ReadAsync(string runDirectory, CancellationToken cancellationToken = default)
    {
        if (!Directory.Exists(runDirectory))
        {
            throw new InvalidInputException(
                $"{runDirectory}: no such run directory; give the folder that run wrote, such as runs/quickstart"
            );
        }

        var recipePath = Path.Combine(runDirectory, RunDirectory.RecipeFile);
        var recipe = File.Exists(recipePath) ? YamlConfig.ReadFile(recipePath) : null;
        var named = recipe?["stages"] as ConfigMap;
        var stages = Stages(runDirectory, named);
        if (stages.Count == 0)
        {
            throw new InvalidInputException($"{runDirectory}: holds no finished stage ({StageManifest.FileName}); run the recipe first");
        }

        return new RunFacts
        {
            Name = (recipe?["name"] as ConfigScalar)?.Text
                ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(runDirectory))),
            Recipe = recipe is null ? null : await File.ReadAllTextAsync(recipePath, cancellationToken),
            Stages = stages,
            Evaluations = Evaluations(stages),
            Labels = [.. stages.Select(stage => LabelFacts.Read(stage, stages)).OfType<LabelFacts>()],
            Traces = await TraceReader.ReadAsync(stages, cancellationToken),
            Metrics =
            [
                .. MetricsLog
                    .Read(Path.Combine(runDirectory, MetricsLog.FileName))
                    .Where(line => named is null || named[line.Stage] is not null),
            ],
        };
    }

    /// <summary>Stages of this run: folders that an earlier recipe left under other names are not among them.</summary>
    static List<StageFacts> Stages(string runDirectory, ConfigMap? recipe)
    {
        List<string> order = [.. recipe?.Entries.Select(entry => entry.Key) ?? []];
        return
        [
            .. Directory
                .EnumerateDirectories(runDirectory)
                .Where(folder => !Path.GetFileName(folder).StartsWith('.'))
                .Select(folder => (Folder: folder, Manifest: StageManifest.Read(folder)))
                .Where(found => found.Manifest is not null && (recipe is null || recipe[found.Manifest.Stage] is not null))
                // As the recipe has them: which of two that run side by side ends first differs from run to run.
                .OrderBy(found => order.IndexOf(found.Manifest!.Stage))
                .ThenBy(found => found.Manifest!.FinishedAt)
                .ThenBy(found => found.Manifest!.Stage, StringComparer.Ordinal)
                .Select(found => new StageFacts
                {
                    Name = found.Manifest!.Stage,
                    Verb = found.Manifest.Verb,
                    Folder = found.Folder,
                    Seconds = found.Manifest.Seconds,
                    LastAttempt = found.Manifest.StartedAt is { } start ? (start, found.Manifest.FinishedAt) : null,
                    PeakMemoryBytes = found.Manifest.PeakMemoryBytes,
                    ProgramVersion = found.Manifest.ProgramVersion,
                    Settings = Flatten(recipe?[found.Manifest.Stage], "").ToDictionary(),
                    Usage = UsageOf(found.Folder, found.Manifest),
                }),
        ];
    }

    static CollectionUsage? UsageOf(string folder, StageManifest manifest)
    {
        try
        {
            return (manifest.Summary as JsonObject)?["usage"] is { } usage
                ? JsonFile.Parse<CollectionUsage>(Encoding.UTF8.GetBytes(usage.ToJsonString()))
                : null;
        }
        catch (JsonException error)
        {
            throw new InvalidInputException(
                $"{Path.Combine(folder, StageManifest.FileName)}: summary.usage is not the record of a collection; restore the file",
                error
            );
        }
    }

    static IEnumerable<KeyValuePair<string, string>> Flatten(ConfigNode? node, string path) =>
        node switch
        {
            ConfigMap map => map.Entries.SelectMany(entry => Flatten(entry.Value, path.Length == 0 ? entry.Key : $"{path}.{entry.Key}")),
            ConfigList list => list.Items.SelectMany((item, index) => Flatten(item, $"{path}.{index}")),
            ConfigScalar { Text: { } text } => [KeyValuePair.Create(path, text)],
            _ => [],
        };

    static List<EvaluationFacts> Evaluations(IReadOnlyList<StageFacts> stages)
    {
        // Models share a colour by the name their recipe gives them, in every evaluation.
        var colors = new List<string>();
        return
        [
            .. stages
                .Where(stage => File.Exists(Path.Combine(stage.Folder, EvaluationResult.FileName)))
                .Select(stage =>
                {
                    var result = EvaluationResult.Read(Path.Combine(stage.Folder, EvaluationResult.FileName));
                    var speeds = GenerationSpeed.Read(stage.Folder);
                    return new EvaluationFacts
                    {
                        Stage = stage,
                        Result = result,
                        Models =
                        [
                            .. result.Models.Select(model =>
                                Describe(model.Key, model.Value, speeds.GetValueOrDefault(model.Key), stage, stages, colors)
                            ),
                        ],
                    };
                }),
        ];
    }

    static ModelFacts Describe(
        string name,
        ModelScores scores,
        GenerationSpeed? speed,
        StageFacts evaluation,
        IReadOnlyList<StageFacts> stages,
        List<string> colors
    )
    {
        var source = evaluation.Settings.GetValueOrDefault($"models.{name}") ?? evaluation.Settings.GetValueOrDefault("model") ?? "";
        var stage = stages.FirstOrDefault(stage => stage.Name == source.Split('/')[0] && MakesModels(stage, stages));
        var isResult = stage is not null && source == stage.Name;
        var family = isResult ? stage!.Family : name.Split('.')[0];
        if (!colors.Contains(family))
        {
            colors.Add(family);
        }

        return new ModelFacts
        {
            Name = name,
            Scores = scores,
            TokensPerSecond = speed is { Seconds: > 0 } ? speed.Tokens / speed.Seconds : null,
            Stage = stage,
            IsResult = isResult,
            Color = colors.IndexOf(family),
        };
    }

    /// <summary>Trainings, and what a matrix exports of them: quantized weights are compared with others over the same seeds.</summary>
    static bool MakesModels(StageFacts stage, IReadOnlyList<StageFacts> stages) =>
        TrainingVerbs.Contains(stage.Verb)
        || (
            stage is { Verb: "export", Copy.Length: > 0 }
            && stages.Any(other => other.Name == stage.Settings.GetValueOrDefault("model") && TrainingVerbs.Contains(other.Verb))
        );
}
