using System.Text.Json;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Teachers;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Synthesis;

/// <summary>
/// The settings that the rounds of a search follow from, each with its value in words, files by what is in them. A round follows from those
/// before it, so that finished ones are of no use under others.
/// </summary>
static class SynthesisIdentity
{
    /// <summary>Refuses finished rounds of other settings, or discards them where the user says so, and writes down those of now.</summary>
    /// <param name="options">With the model's name where one is served.</param>
    /// <param name="folder">Where the rounds are.</param>
    /// <param name="context">Takes the message on what is discarded.</param>
    /// <exception cref="InvalidInputException">The folder holds finished rounds of other settings.</exception>
    public static void Ensure(SynthesizeOptions options, SynthesisFolder folder, StageContext context)
    {
        if (Difference(options, folder) is { } difference)
        {
            if (!options.Discard)
            {
                throw Refusal(context.NameOf(folder.Output), difference);
            }

            context.Observer.Message($"{context.NameOf(folder.Output)}: {difference}; they are discarded");
            folder.Discard();
        }
        else if (!IsSame(options, folder))
        {
            // No round is finished. What its collections hold they look at themselves; the student's answers are of the student then.
            folder.DeleteStudentAnswers();
        }

        Directory.CreateDirectory(folder.Output);
        JsonFile.Write(folder.Settings, ValuesOf(options));
    }

    /// <summary>Finished rounds of other settings in words; null where there are none.</summary>
    public static string? Difference(SynthesizeOptions options, SynthesisFolder folder)
    {
        if (folder.Finished is not (> 0 and var finished))
        {
            return null;
        }

        var holds = $"holds {Counted.Of(finished, "finished round")}";
        if (Read(folder) is not { } then)
        {
            return $"{holds} of a search whose settings were not kept";
        }

        var now = ValuesOf(options);
        string[] differences =
        [
            .. now.Where(value => then.GetValueOrDefault(value.Key, value.Value) != value.Value)
                .Select(value => $"{value.Key} was {then[value.Key]}, is {value.Value}"),
        ];
        return differences.Length == 0 ? null : $"{holds} of other settings: {string.Join("; ", differences)}";
    }

    /// <summary>Error that says what to do about a difference, in one line.</summary>
    public static InvalidInputException Refusal(string path, string difference) =>
        new(
            $"{path}: {difference}; put that back, search into another folder (--out, or a stage of another name), or give these rounds up "
                + "with --discard"
        );

    static bool IsSame(SynthesizeOptions options, SynthesisFolder folder) =>
        Read(folder) is { } then && then.Count == ValuesOf(options).Count && !then.Except(ValuesOf(options)).Any();

    /// <returns>Null where it was not kept, or in another form.</returns>
    static SortedDictionary<string, string>? Read(SynthesisFolder folder)
    {
        try
        {
            return File.Exists(folder.Settings) ? JsonFile.Read<SortedDictionary<string, string>>(folder.Settings) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Those of the collection of answers, the teacher's among them, and those of the search.</summary>
    static SortedDictionary<string, string> ValuesOf(SynthesizeOptions options)
    {
        var answering = CollectStage.IdentityOf(SynthesisTeacher.AnsweringOf(options, ""));
        var invented = options.InventPrompt is null ? "none" : CollectStage.IdentityOf(SynthesisTeacher.InventionOf(options, ""))["prompt"];
        return new SortedDictionary<string, string>(answering.ToDictionary(), StringComparer.Ordinal)
        {
            ["serve"] = answering.GetValueOrDefault("serve", "none"),
            ["tokenizer"] = answering.GetValueOrDefault("tokenizer", "none"),
            ["student"] = NameOf(options.Student),
            ["count"] = Written(options.Count),
            ["rounds"] = Written(options.Rounds),
            ["candidates"] = Written(options.ResolveCandidates()),
            ["disagreement"] = Written(options.Disagreement),
            ["min_disagreement"] = Written(options.MinDisagreement),
            ["family"] = string.Join(", ", options.SearchedFamilies),
            ["levels"] = Written(options.Levels),
            ["exploration"] = Written(options.Exploration),
            ["invent_prompt"] = invented,
            ["invent_examples"] = Written(options.InventExamples),
            ["samples_per_problem"] = Written(options.SamplesPerProblem),
            ["min_agreement"] = Written(options.MinAgreement),
            ["problems"] = options.Problems is { } problems ? NameOf(problems) : "none",
            ["held_out"] = options.HeldOut.Count == 0 ? "none" : string.Join(", ", options.HeldOut.Select(NameOf)),
            ["problem_field"] = Written(options.ProblemField),
            ["answer_field"] = Written(options.AnswerField),
        };
    }

    static string Written<T>(T value) => JsonSerializer.Serialize(value, JsonFile.Line);

    /// <summary>
    /// A name with the beginning of a digest of what is there: the same may lie elsewhere, or hold something else by now.
    /// </summary>
    static string NameOf(string path) =>
        $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(path))} ({ContentDigest.Combine(ContentDigest.Of(path))[..12]})";
}
