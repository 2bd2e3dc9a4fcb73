using System.Text.RegularExpressions;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Models.Adapters;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Exporting;

/// <summary>Facts about the making of a model: from its run directory and from the card that lies beside it.</summary>
sealed partial record CardFacts
{
    /// <summary>The training that made it; null where it lies in no run.</summary>
    public StageFacts? Training { get; init; }

    /// <summary>The run's recipe; null where there is none.</summary>
    public string? Recipe { get; init; }

    /// <summary>Traces that it learned from.</summary>
    public IReadOnlyList<TraceFacts> Traces { get; init; } = [];

    /// <summary>Evaluations in which it took part, and what they call it.</summary>
    public IReadOnlyList<(EvaluationFacts Evaluation, string Name)> Evaluations { get; init; } = [];

    /// <summary>Name of the adapter that is merged in; null for none.</summary>
    public string? Adapter { get; init; }

    /// <summary>The Hub's name of the model that it was trained from, where its folder tells.</summary>
    public string? BaseModel { get; init; }

    /// <summary>As the model's own card has it.</summary>
    public string? License { get; init; }

    /// <summary>The model's own card without its front matter.</summary>
    public string? Description { get; init; }

    /// <summary>Topics that a card of these covers.</summary>
    public string Told =>
        Training is null ? "what the model is; for data, recipe and metrics, export it from where run made it" : "data, recipe and metrics";

    /// <summary>
    /// Name of a model or adapter: by its folder, and by the one above that where a training left the adapter beside its model.
    /// </summary>
    public static string NameOf(string folder) => Path.GetFileName(OwnFolder(folder));

    /// <param name="model">The model directory.</param>
    /// <param name="adapter">Folder of what is merged into it; null for nothing.</param>
    /// <param name="runDirectory">
    /// That of the run at hand; null: the folder above the model, or the one that the adapter belongs to, where it is one.
    /// </param>
    public static async Task<CardFacts> ReadAsync(string model, string? adapter, string? runDirectory, CancellationToken cancellationToken)
    {
        var modelFolder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(model));
        var folder = adapter is null ? modelFolder : OwnFolder(adapter);
        var facts = OfCard(Path.Combine(modelFolder, ModelCard.FileName)) with
        {
            BaseModel = HubName(modelFolder),
            Adapter = adapter is null ? null : NameOf(adapter),
        };
        if (StageManifest.Read(folder) is null)
        {
            return facts;
        }

        var run = await RunReader.ReadAsync(runDirectory ?? Path.GetDirectoryName(folder)!, cancellationToken);
        if (run.Stages.FirstOrDefault(stage => Path.GetFullPath(stage.Folder) == folder) is not { } training)
        {
            return facts;
        }

        return facts with
        {
            Training = training,
            Recipe = run.Recipe is { } recipe ? FolderAbove().Replace(recipe, "") : null,
            Traces = [.. run.Traces.Where(traces => training.Settings.Values.Any(value => value.Split('/')[0] == traces.Stage.Name))],
            Evaluations =
            [
                .. run.Evaluations.SelectMany(evaluation =>
                    evaluation.Models.Where(model => model.IsResult && model.Stage == training).Select(model => (evaluation, model.Name))
                ),
            ],
            BaseModel = training.Settings.Values.Select(HubName).FirstOrDefault(name => name is not null) ?? facts.BaseModel,
        };
    }

    /// <summary>Where a training that left an adapter behind wrote its model, else the folder itself.</summary>
    static string OwnFolder(string path)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.GetFileName(folder) == AdapterFiles.Folder ? Path.GetDirectoryName(folder) ?? folder : folder;
    }

    const int MostBytes = 16 << 20;

    static CardFacts OfCard(string path)
    {
        if (!File.Exists(path) || ModelCard.IsIn(Path.GetDirectoryName(path)!))
        {
            return new CardFacts();
        }

        var match = FrontMatter().Match(Utf8Text.ReadFile(path, MostBytes));
        return new CardFacts
        {
            License = LicenseLine().Match(match.Groups["front"].Value) is { Success: true } license ? license.Groups[1].Value : null,
            Description = match.Groups["body"].Value.Trim() is { Length: > 0 } body ? body : null,
        };
    }

    /// <summary>Hugging Face's cache keeps <c>owner/name</c> under <c>models--owner--name</c>.</summary>
    static string? HubName(string path) =>
        CacheFolder().Match(path) is { Success: true } match ? $"{match.Groups[1]}/{match.Groups[2]}" : null;

    [GeneratedRegex(@"\A(---\r?\n(?<front>.*?\n)---\r?\n)?(?<body>.*)\z", RegexOptions.Singleline, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex FrontMatter();

    [GeneratedRegex(@"^license:\s*([\w.-]+)\s*$", RegexOptions.Multiline, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex LicenseLine();

    /// <summary>Where a file lies on this machine is nobody else's business, only what it is called.</summary>
    [GeneratedRegex("""(?<=[\s"'])(/|[A-Za-z]:\\)([^\s/\\"']+[/\\])+""", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex FolderAbove();

    [GeneratedRegex(@"models--([^/\\]+?)--([^/\\]+)", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex CacheFolder();
}
