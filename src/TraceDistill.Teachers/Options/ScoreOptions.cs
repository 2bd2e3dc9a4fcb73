using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Options;

/// <summary>Options of <c>score</c>. Recipe keys are these names in snake case, command-line options in kebab case.</summary>
public sealed record ScoreOptions : TeacherOptions, IValidatableObject
{
    /// <summary>The source stays as it is: its rows are copied, in their order and with their ids, with the teacher's logprobs.</summary>
    /// <value>None: <see cref="Problems"/>.</value>
    [InputPath]
    [Description("Traces whose text is scored: a folder of shards, or one .parquet file of them")]
    public string? Traces { get; init; }

    /// <value>None: <see cref="Traces"/>.</value>
    [InputPath]
    [Description("File of problems whose worked solutions are scored, in place of traces: JSON Lines, JSON (both also .gz) or Parquet")]
    public string? Problems { get; init; }

    /// <summary>It scores without a server: a batch of texts at a time, in bounded memory, on any device.</summary>
    /// <value>None: an endpoint, or a model to serve.</value>
    [InputPath]
    [Description("Model directory that scores in this process, in place of an endpoint")]
    public string? Teacher { get; init; }

    /// <summary>
    /// Privileged context: the scored tokens stay those of the text, and so does the prompt that stands with them, which a student reads.
    /// </summary>
    /// <value>None: the prompt that the text was written behind.</value>
    [KnownPrompt]
    [Description(
        "Prompt directory, Plugin/Function or any other path, that the teacher reads in place of the text's own prompt, with $problem, "
            + "$solution and $answer of the problem"
    )]
    public string? Prompt { get; init; }

    /// <summary>They are joined to the traces by the problems' ids.</summary>
    /// <value>None: question and answer are the traces' own, and there is no solution.</value>
    [InputPath]
    [Description("Files with the problems of the traces, whose solutions and answers prompt shows")]
    public IReadOnlyList<string> PromptProblems { get; init; } = [];

    /// <value>20.</value>
    [Range(1, 1000, ErrorMessage = "must be from 1 to 1000")]
    [Description("Alternatives for each token: the soft targets")]
    public int TopLogprobs { get; init; } = GenerateOptions.DefaultTopLogprobs;

    /// <summary>
    /// The mean of soft targets that are drawn is the teacher's whole distribution; that of the likeliest alternatives is not (RS-KD).
    /// Stored as log(count / N); known by a model directory and by <c>tracedistill serve</c>.
    /// </summary>
    /// <value>None: the likeliest alternatives.</value>
    [Range(1, 256, ErrorMessage = "must be from 1 to 256")]
    [Description("Soft targets drawn at random from the teacher's whole distribution for each token, in place of top_logprobs")]
    public int? SampledLogprobs { get; init; }

    /// <value>0.</value>
    [Description(
        "Base seed of sampled_logprobs, of no effect without; per-trace seeds are derived from it, the problem and the sample's index"
    )]
    public long Seed { get; init; }

    /// <summary>
    /// Rows that the teacher failed at are asked for again by every run; a text that its context cannot hold is one that it cannot hold the
    /// next time either, unless somebody gave it a longer one.
    /// </summary>
    /// <value>False: they stay without soft targets.</value>
    [Description("Ask again for texts that were too long for the teacher's context, as once it was given a longer one")]
    public bool ReaskTooLong { get; init; }

    /// <summary>
    /// A server's memory for a text, and this process's for its scores, go by its tokens and not by requests: a few dozen texts of 30,000
    /// tokens are more than some servers take.
    /// </summary>
    /// <value>131,072.</value>
    [Operational]
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Maximum tokens of all texts in flight together, beside concurrency; a text that is longer goes alone")]
    public int MaxTokensInFlight { get; init; } = 131_072;

    /// <summary>
    /// Memory of the scores of texts in flight: an id and a logprob for each token and alternative, as they are read, as they are kept and
    /// as they are written to the journal.
    /// </summary>
    public long BytesInFlight => 4L * 8 * (Alternatives + 1) * MaxTokensInFlight;

    /// <summary>Alternatives for each token, drawn or the likeliest.</summary>
    internal int Alternatives => SampledLogprobs ?? TopLogprobs;

    /// <inheritdoc/>
    protected override bool ComputesHere => Serve is not null || Teacher is not null;

    /// <summary>The source of the texts.</summary>
    public string Source => Traces ?? Problems!;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Traces is null == Problems is null)
        {
            yield return new ValidationResult("give either traces or problems with worked solutions", [nameof(Traces)]);
        }

        if ((Endpoint is null ? 0 : 1) + (Serve is null ? 0 : 1) + (Endpoints.Count == 0 ? 0 : 1) + (Teacher is null ? 0 : 1) != 1)
        {
            yield return new ValidationResult(
                "give either an endpoint, or several as endpoints, or a model directory that scores in this process (teacher) or is served",
                [nameof(Endpoint)]
            );
        }

        if ((Endpoint is not null || Endpoints.Count > 0) && string.IsNullOrWhiteSpace(Model))
        {
            yield return new ValidationResult("name the model as the endpoint knows it", [nameof(Model)]);
        }

        if (SampledLogprobs is not null && TopLogprobs != GenerateOptions.DefaultTopLogprobs)
        {
            yield return new ValidationResult(GenerateOptions.EitherAlternatives, [nameof(TopLogprobs)]);
        }

        if (PromptProblems.Count > 0 && (Prompt is null || Traces is null))
        {
            yield return new ValidationResult(
                Prompt is null ? "goes with prompt" : "goes with traces; problems are their own",
                [nameof(PromptProblems)]
            );
        }

        foreach (var name in OfEndpoints())
        {
            yield return new ValidationResult("is about endpoints, and the teacher scores in this process; leave it out", [name]);
        }

        foreach (var name in OfProblems())
        {
            yield return new ValidationResult("says how a file of problems is read, and traces are given; leave it out", [name]);
        }

        foreach (var problem in ValidateTeacher())
        {
            yield return problem;
        }
    }

    /// <summary>Options about endpoints where none is asked.</summary>
    IEnumerable<string> OfEndpoints() =>
        Teacher is null
            ? []
            : Given(
                (nameof(Dialect), Dialect != KnownDialects.Auto),
                (nameof(ApiKeyEnv), ApiKeyEnv is not null),
                (nameof(ApiKeyFile), ApiKeyFile is not null),
                (nameof(Rpm), Rpm is not null),
                (nameof(Tpm), Tpm is not null),
                (nameof(HedgeAfter), HedgeAfter is not null),
                (nameof(MaxTokensTotal), MaxTokensTotal is not null),
                (nameof(MaxCost), MaxCost is not null),
                (nameof(PricePerMillion), PricePerMillion is not null),
                (nameof(AttemptTimeout), AttemptTimeout is not null)
            );

    /// <summary>Options about a problem file where none is read.</summary>
    IEnumerable<string> OfProblems() =>
        Traces is null || PromptProblems.Count > 0
            ? []
            : Given(
                (nameof(ProblemField), ProblemField.Count > 0),
                (nameof(AnswerField), AnswerField is not null),
                (nameof(SolutionField), SolutionField is not null),
                (nameof(Duplicates), Duplicates != DuplicateProblems.Error)
            );

    static IEnumerable<string> Given(params (string Name, bool IsGiven)[] options) =>
        options.Where(option => option.IsGiven).Select(option => option.Name);
}
