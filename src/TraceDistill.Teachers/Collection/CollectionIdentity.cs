using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Prompts;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// The options that make a collection's traces what they are, each with its value in words; files by what is
/// in them. Kept in a hidden file beside the traces, so that a collection with other options can name them.
/// </summary>
sealed class CollectionIdentity
{
    /// <summary>Hidden, because it is no part of the data set.</summary>
    public const string FileName = ".options.json";

    /// <summary>
    /// Names the traces that are scored. As long as they are these, none of them can have changed; where they are not, their text tells.
    /// </summary>
    const string SourceKey = "traces";

    /// <summary>
    /// Options of a scoring that were not written down where they were not given: there, their absence says that they were not.
    /// </summary>
    static readonly string[] NoneWhereAbsent = ["prompt", "prompt_problems"];

    static readonly string[] ServedFiles = ["config.json", "tokenizer.json", "*.safetensors"];

    readonly SortedDictionary<string, string> _values;

    CollectionIdentity(SortedDictionary<string, string> values) => _values = values;

    /// <summary>Each option's value in words.</summary>
    public IReadOnlyDictionary<string, string> Values => _values;

    /// <exception cref="InvalidInputException">A file that an option names cannot be read.</exception>
    public static CollectionIdentity Of(GenerateOptions options)
    {
        var values = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, _) in OptionRoles.All.Where(option => option.Value == OptionRole.Identity))
        {
            if (ValueOf(options, name) is { } value)
            {
                values[JsonNamingPolicy.SnakeCaseLower.ConvertName(name)] = value;
            }
        }

        return new CollectionIdentity(values);
    }

    /// <summary>The options of a scoring.</summary>
    /// <param name="options">The options.</param>
    /// <param name="model">The teacher's name.</param>
    /// <param name="tokenizer">The teacher's.</param>
    /// <param name="templateHash">Of the teacher's chat template.</param>
    /// <exception cref="InvalidInputException">A file that an option names cannot be read.</exception>
    public static CollectionIdentity Of(ScoreOptions options, string model, Tokenizer tokenizer, string templateHash)
    {
        var values = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["model"] = model,
            ["tokenizer"] = Short(tokenizer.Hash),
            ["chat_template"] = Short(templateHash),
            ["sampled_logprobs"] = options.SampledLogprobs is { } draws ? JsonSerializer.Serialize(draws) : "none",
        };
        if (options.SampledLogprobs is null)
        {
            values["top_logprobs"] = JsonSerializer.Serialize(options.TopLogprobs);
        }
        else
        {
            values["seed"] = JsonSerializer.Serialize(options.Seed);
        }

        values["prompt"] = options.Prompt is { } prompt ? Prompt(prompt) : "none";
        values["prompt_problems"] = options.PromptProblems is [var first, ..] ? Files(first, options.PromptProblems) : "none";
        foreach (
            var (name, value) in new (string, object?)[]
            {
                ("problem_field", options.ProblemField),
                ("answer_field", options.AnswerField),
                ("solution_field", options.SolutionField),
                ("duplicates", options.Duplicates),
            }
        )
        {
            // What the prompt shows is read by them. Of problems that are scored themselves it is part of the text.
            values[name] = options.PromptProblems.Count > 0 ? JsonSerializer.Serialize(value, JsonFile.Line) : "none";
        }

        if (options.Traces is { } traces)
        {
            values[SourceKey] = Files(traces, ShardsOf(traces));
        }

        if ((options.Serve ?? options.Teacher) is { } directory)
        {
            values["teacher"] = Files(directory, FilesOf(directory));
        }

        return new CollectionIdentity(values);

        static IEnumerable<string> ShardsOf(string path) =>
            Directory.Exists(path) ? Directory.GetFiles(path, "*.parquet").Order(StringComparer.Ordinal) : [path];
    }

    /// <returns>Null where it was not kept.</returns>
    /// <exception cref="InvalidInputException">The file is damaged.</exception>
    public static CollectionIdentity? Load(string directory)
    {
        var path = Path.Combine(directory, FileName);
        try
        {
            return File.Exists(path) ? new CollectionIdentity(JsonFile.Read<SortedDictionary<string, string>>(path)) : null;
        }
        catch (JsonException e)
        {
            throw new InvalidInputException(
                $"{path}: does not hold the options of a collection; restore it, or delete it if you know that they are the same as now",
                e
            );
        }
    }

    /// <param name="directory">The folder of the traces.</param>
    /// <param name="writer">Tells processes that collect partitions of the same at once apart, as in file names.</param>
    public void Save(string directory, string writer)
    {
        if (!(Load(directory)?._values.SequenceEqual(_values) ?? false))
        {
            JsonFile.Write(Path.Combine(directory, FileName), _values, writer);
        }
    }

    /// <summary>
    /// Differences in words: <c>max_tokens was 80, is 40</c>. An option that only one of the two knows of does not count, unless its
    /// absence says that it was not given, nor do the traces that are scored.
    /// </summary>
    /// <param name="now">The options of now.</param>
    public IReadOnlyList<string> DifferencesTo(CollectionIdentity now) =>
        [
            .. from name in _values.Keys.Union(now._values.Keys).Order(StringComparer.Ordinal)
            where name != SourceKey
            let was = ValueIn(this, name)
            let value = ValueIn(now, name)
            where was is not null && value is not null && was != value
            select $"{name} was {was}, is {value}",
        ];

    static string? ValueIn(CollectionIdentity identity, string name) =>
        identity._values.GetValueOrDefault(name) ?? (NoneWhereAbsent.Contains(name) ? "none" : null);

    /// <summary>Returns whether the same traces are scored, byte by byte.</summary>
    public bool IsOfSameSource(CollectionIdentity other) =>
        _values.GetValueOrDefault(SourceKey) == other._values.GetValueOrDefault(SourceKey);

    static string? ValueOf(GenerateOptions options, string name) =>
        name switch
        {
            nameof(GenerateOptions.Prompt) => options.Prompts.Count > 0 ? "none" : Prompt(options.Prompt),
            nameof(GenerateOptions.Prompts) => options.Prompts.Count == 0
                ? "none"
                : string.Join(
                    ", ",
                    options
                        .Prompts.OrderBy(prompt => prompt.Key, StringComparer.Ordinal)
                        .Select(prompt => FormattableString.Invariant($"{Prompt(prompt.Key)}: {prompt.Value}"))
                ),
            nameof(GenerateOptions.FewShot) => options.FewShot is { } file ? Files(file, [file]) : "none",
            nameof(GenerateOptions.TopLogprobs) when options.SampledLogprobs is not null => null,
            nameof(GenerateOptions.FewShotCount) => options.FewShot is null ? null : $"{options.FewShotCount}",
            nameof(GenerateOptions.Serve) => options.Serve is { } model ? Files(model, FilesOf(model)) : null,
            nameof(GenerateOptions.Tokenizer) => (options.Tokenizer ?? options.Serve) is { } tokenizer
                ? Short(Tokenizer.Load(tokenizer).Hash)
                : null,
            nameof(GenerateOptions.ExtraBody) => Dialects.ExtraBody.Canonical(options.ExtraBody) ?? "none",
            _ => JsonSerializer.Serialize(typeof(GenerateOptions).GetProperty(name)!.GetValue(options)),
        };

    static IEnumerable<string> FilesOf(string model) =>
        ServedFiles.SelectMany(pattern => Directory.GetFiles(model, pattern).Order(StringComparer.Ordinal));

    static string Prompt(string name)
    {
        var folder = PromptLibrary.Default.Load(name).Folder;
        return Files(name, Directory.GetFiles(folder).Order(StringComparer.Ordinal));
    }

    /// <summary>
    /// A name with the beginning of a digest of what is in its files: the same file may lie elsewhere, or hold something else by now.
    /// </summary>
    static string Files(string name, IEnumerable<string> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in files)
        {
            InputFile.RefuseSpecial(file);
            using var stream = File.OpenRead(file);
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file)));
            hash.AppendData(SHA256.HashData(stream));
        }

        return $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(name))} ({Short(Convert.ToHexStringLower(hash.GetHashAndReset()))})";
    }

    static string Short(string digest) => digest[..Math.Min(12, digest.Length)];
}
