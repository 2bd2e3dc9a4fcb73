using System.Security.Cryptography;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Prompts;

/// <summary>
/// The prompts in which problems were put to a teacher, and the longest answers that it could give: a student of its traces is asked in
/// the same way.
/// </summary>
/// <remarks>
/// Stands as <see cref="FileName"/> beside the shards of a collection and in the directory of each model that was trained
/// on them. Prompts and examples are in it as text, since the files that they came from may change or be elsewhere.
/// </remarks>
public sealed record TaskDescription
{
    public const string FileName = "task.json";

    /// <summary>The prompts with their weights, in the order given.</summary>
    public required IReadOnlyList<TaskPrompt> Prompts { get; init; }

    /// <summary>The system message that went first; null where there was none beside the prompts' own.</summary>
    public string? System { get; init; }

    /// <summary>The solved problems that were shown before each; null where there were none.</summary>
    public TaskExamples? FewShot { get; init; }

    /// <summary>
    /// More fields that each request had, settings of the chat template among them: the text of a JSON object; null for none.
    /// </summary>
    public string? ExtraBody { get; init; }

    /// <summary>Longest answer in tokens; null where it is not known.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>The prompts in a few words: of a single one its name.</summary>
    public string Describe() =>
        (
            Prompts.Count == 1
                ? Prompts[0].Name
                : string.Join(", ", Prompts.Select(prompt => FormattableString.Invariant($"{prompt.Name}: {prompt.Weight}")))
        )
        + (System is null ? "" : ", with a system message")
        + (FewShot is { } examples ? $", with {examples.Count} examples" : "")
        + (ChatTemplateSettings() is { } settings ? $", with {settings[1..^1]}" : "");

    /// <summary>
    /// The part of <see cref="ExtraBody"/> that is for the chat template, in the form of <see cref="ExtraBody"/>; null where nothing is.
    /// </summary>
    public string? ChatTemplateSettings()
    {
        if (ExtraBody is null)
        {
            return null;
        }

        using var fields = JsonDocument.Parse(ExtraBody);
        return fields.RootElement.ValueKind != JsonValueKind.Object ? throw new JsonException("the fields of a request are no object")
            : fields.RootElement.TryGetProperty(ChatTemplateField, out var settings)
                ? $$"""{"{{ChatTemplateField}}":{{settings.GetRawText()}}}"""
            : null;
    }

    /// <summary>The field of a request that holds variables of the chat template, as vLLM and SGLang name it.</summary>
    public const string ChatTemplateField = "chat_template_kwargs";

    /// <summary>
    /// Returns whether both put a problem in the same words, whatever their prompts are called; answers may be of another length.
    /// </summary>
    public bool IsPutAs(TaskDescription other) => Hash() == other.Hash();

    /// <summary>Returns whether this prompt, whatever it is called, is the only one.</summary>
    public bool IsOf(TaskPrompt prompt) => Prompts is [var only] && only.Template == prompt.Template && only.Config == prompt.Config;

    /// <summary>
    /// The task of traces: what collection left beside them, else what their manifest names, where that prompt is known here.
    /// </summary>
    /// <param name="path">A folder of shards, or one Parquet file.</param>
    /// <param name="dataset">The shards' own description.</param>
    /// <returns>Null where it is not known.</returns>
    public static TaskDescription? OfTraces(string path, DatasetDescription dataset)
    {
        var folder = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;
        return Load(folder)
            ?? (
                TaskPrompt.Find(dataset.PromptFunction) is { } prompt
                    ? new TaskDescription { Prompts = [prompt], ExtraBody = dataset.ExtraBody }
                    : null
            );
    }

    /// <summary>Reads the description in a folder of traces or of a model.</summary>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="InvalidInputException">The file is damaged.</exception>
    public static TaskDescription? Load(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            var task = JsonFile.Read<TaskDescription>(path);
            _ = task.ChatTemplateSettings();
            return task.Prompts.Count > 0 ? task : throw new JsonException("no prompts");
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(
                $"{path}: not the description of a task ({exception.Path ?? exception.Message}); "
                    + "restore the file, or delete it and name prompt and max_tokens yourself",
                exception
            );
        }
    }

    /// <summary>Writes the description into a folder, whole or not at all.</summary>
    /// <param name="writer">Tells processes that write the same at once apart, as in file names.</param>
    public void Save(string folder, string writer = "") => JsonFile.Write(Path.Combine(folder, FileName), this, writer);

    string Hash()
    {
        var words = new
        {
            Prompts = Prompts.Select(prompt => new
            {
                prompt.Template,
                prompt.Config,
                Weight = Prompts.Count == 1 ? 1 : prompt.Weight,
            }),
            System,
            FewShot,
            Settings = ChatTemplateSettings(),
        };
        return Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(words, JsonFile.Document)));
    }
}

/// <summary>One prompt of a task.</summary>
/// <param name="Name"><c>Plugin/Function</c>.</param>
/// <param name="Weight">How often it is taken, beside the others' weights.</param>
/// <param name="Template">The text of its <c>skprompt.txt</c>.</param>
/// <param name="Config">The text of its <c>config.json</c>.</param>
public sealed record TaskPrompt(string Name, double Weight, string Template, string Config)
{
    /// <param name="name"><c>Plugin/Function</c>, or the path of a prompt directory.</param>
    /// <param name="weight">How often it is taken.</param>
    /// <exception cref="InvalidInputException">There is no such prompt.</exception>
    public static TaskPrompt Load(string name, double weight = 1)
    {
        var source = PromptLibrary.Default.Load(name);
        return new TaskPrompt(source.Name, weight, source.Template, source.Config);
    }

    /// <summary>As <see cref="Load"/>; null where there is no such prompt.</summary>
    public static TaskPrompt? Find(string? name)
    {
        try
        {
            return name is null ? null : Load(name);
        }
        catch (InvalidInputException)
        {
            return null;
        }
    }

    /// <summary>The prompt as if it lay on disk.</summary>
    /// <param name="folder">Of the description that holds it, for messages.</param>
    public PromptSource ToSource(string folder) =>
        new(Name, Path.Combine(folder, TaskDescription.FileName), Template, Path.Combine(folder, TaskDescription.FileName), Config);
}

/// <summary>Solved problems of which some are shown before each problem.</summary>
/// <param name="Count">Examples for each problem.</param>
/// <param name="Solved">Solved problems to choose from.</param>
public sealed record TaskExamples(int Count, IReadOnlyList<Problem> Solved);
