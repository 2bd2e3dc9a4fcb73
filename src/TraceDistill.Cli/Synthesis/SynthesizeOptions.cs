using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Cli.Synthesis;

/// <summary>How far a student is from its teacher at a problem.</summary>
enum DisagreementMeasure
{
    /// <summary>Mean over the tokens of the teacher's right traces of KL(teacher ‖ student), in nats.</summary>
    Kl,

    /// <summary>1 where the student's greedy answer is another one than the teacher's, else 0.</summary>
    Answer,
}

/// <summary>Options of <c>synthesize</c>. Recipe keys are these names in snake case, command-line options in kebab case.</summary>
sealed record SynthesizeOptions : TeacherOptions, IValidatableObject
{
    [InputPath]
    [Description("Model directory of the student that problems are searched for")]
    public required string Student { get; init; }

    [Range(1, 100_000_000, ErrorMessage = "must be at least 1")]
    [Description("Number of problems to keep, over all rounds")]
    public required int Count { get; init; }

    /// <value>4.</value>
    [Range(1, 1000, ErrorMessage = "must be from 1 to 1000")]
    [Description("Rounds of the search, each of which keeps its part of count and moves to where these were")]
    public int Rounds { get; init; } = 4;

    /// <value>Four times as many as a round is to keep.</value>
    [Range(1, 100_000_000, ErrorMessage = "must be at least 1")]
    [Description("Problems that are tried in a round; four times as many as it is to keep unless given")]
    public int? Candidates { get; init; }

    /// <value>kl.</value>
    [Description(
        "Measure of how far apart teacher and student are: kl (per token of the teacher's right answers) or answer (1 where the student's "
            + "is another)"
    )]
    public DisagreementMeasure Disagreement { get; init; }

    /// <value>0: problems on which both agree are never kept.</value>
    [Range(0.0, 1e6, ErrorMessage = "must not be negative")]
    [Description("Least disagreement of a problem that is kept, in nats per token for kl")]
    public double MinDisagreement { get; init; }

    /// <value>All families; none where invent_prompt is given.</value>
    [KnownFamilies]
    [Description("Families of problems that are searched, or all; all unless given, or unless invent_prompt is")]
    public IReadOnlyList<string> Family { get; init; } = [];

    /// <value>3.</value>
    [Range(1, 20, ErrorMessage = "must be from 1 to 20")]
    [Description("Levels of difficulty of each family, by the length of worked solutions, that the search tells apart")]
    public int Levels { get; init; } = 3;

    /// <value>0.2.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Fraction of a round's problems that is spread evenly over families and levels, whatever was found before")]
    public double Exploration { get; init; } = 0.2;

    /// <summary>
    /// The teacher reads some of the problems kept so far, and what it writes is a problem to be tried. Nobody knows its answer: it is kept
    /// where enough of the teacher's samples agree (<see cref="MinAgreement"/>).
    /// </summary>
    /// <value>None: families alone.</value>
    [KnownPrompt]
    [Description("Prompt directory in which the teacher is asked for a new problem and shown some ($problem), such as Synthesis/Invent")]
    public string? InventPrompt { get; init; }

    /// <value>4.</value>
    [Range(1, 100, ErrorMessage = "must be from 1 to 100")]
    [Description("Problems that invent_prompt shows")]
    public int InventExamples { get; init; } = 4;

    /// <value>None: in the first round nothing is invented.</value>
    [InputPath]
    [Description("File of problems that invent_prompt shows before any was kept; none of them comes out")]
    public string? Problems { get; init; }

    /// <value>None.</value>
    [InputPath]
    [Description("Files of problems none of which may come out; generated ones are never of a family's held-out side")]
    public IReadOnlyList<string> HeldOut { get; init; } = [];

    /// <value><c>Reasoning/Solve</c>.</value>
    [KnownPrompt]
    [Description("Prompt directory, Plugin/Function or any other path, in which the teacher is asked for answers")]
    public string Prompt { get; init; } = "Reasoning/Solve";

    /// <value>None, or the prompt's own.</value>
    [Description("System message that goes before everything, for prompts that have none of their own")]
    public string? System { get; init; }

    /// <value>None.</value>
    [Description("More fields of each request, such as chat_template_kwargs: { enable_thinking: false }")]
    public IReadOnlyDictionary<string, JsonElement>? ExtraBody { get; init; }

    /// <value>20.</value>
    [Range(0, 1000, ErrorMessage = "must be from 0 to 1000")]
    [Description("Alternatives for each token: the soft targets; 0 asks for text alone, with disagreement: answer")]
    public int TopLogprobs { get; init; } = GenerateOptions.DefaultTopLogprobs;

    /// <value>1.</value>
    [Range(1, 1000, ErrorMessage = "must be from 1 to 1000")]
    [Description("Answers of the teacher to each problem")]
    public int SamplesPerProblem { get; init; } = 1;

    /// <value>0.75.</value>
    [Range(0.01, 1.0, ErrorMessage = "must be from 0.01 to 1")]
    [Description("Least fraction of the samples that give the answer of an invented problem")]
    public double MinAgreement { get; init; } = 0.75;

    /// <value>1.0, the teacher's own distribution.</value>
    [Range(0.0, 100.0, ErrorMessage = "must be from 0 to 100")]
    [Description("Sampling temperature; 0 is greedy; of the teacher's answers")]
    public double Temperature { get; init; } = 1.0;

    /// <value>1.0, the whole distribution.</value>
    [Range(1e-9, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("Top-p (nucleus) of the sampling")]
    public double TopP { get; init; } = 1.0;

    /// <value>512.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Longest answer in tokens, of teacher and student")]
    public int MaxTokens { get; init; } = 512;

    /// <value>0.</value>
    [Description("Base seed of problems, of what is shown and of the teacher's answers")]
    public long Seed { get; init; }

    /// <inheritdoc/>
    protected override bool ComputesHere => true;

    /// <summary>Families that are searched.</summary>
    internal IReadOnlyList<string> SearchedFamilies =>
        Family.Count > 0 ? Family
        : InventPrompt is null ? [ProblemGenerator.AllFamilies]
        : [];

    /// <summary>Problems that are kept by the end of a round.</summary>
    /// <param name="round">From 1.</param>
    internal int KeptBy(int round) => (int)((((long)Count * round) + Rounds - 1) / Rounds);

    /// <summary>Problems that are tried in a round.</summary>
    internal int ResolveCandidates() => Candidates ?? 4 * KeptBy(1);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((Endpoint is null ? 0 : 1) + (Serve is null ? 0 : 1) + (Endpoints.Count == 0 ? 0 : 1) != 1)
        {
            yield return new ValidationResult(
                "give either an endpoint, or several as endpoints, or a model directory to serve",
                [nameof(Endpoint)]
            );
        }

        if ((Endpoint is not null || Endpoints.Count > 0) && string.IsNullOrWhiteSpace(Model))
        {
            yield return new ValidationResult("name the model as the endpoint knows it", [nameof(Model)]);
        }

        foreach (var problem in ValidateTeacher())
        {
            yield return problem;
        }

        foreach (var refusal in Teachers.Dialects.ExtraBody.Validate(ExtraBody, nameof(ExtraBody)))
        {
            yield return refusal;
        }

        if (Disagreement == DisagreementMeasure.Kl && TopLogprobs == 0)
        {
            yield return new ValidationResult(
                "kl compares soft targets; ask for some, or take disagreement: answer",
                [nameof(TopLogprobs)]
            );
        }

        if (Disagreement == DisagreementMeasure.Kl && Serve is null && Tokenizer is null)
        {
            yield return new ValidationResult(
                "is required: kl compares token by token, and the endpoint does not tell its vocabulary; name the folder with the "
                    + "teacher's tokenizer.json, or take disagreement: answer",
                [nameof(Tokenizer)]
            );
        }

        if (Disagreement == DisagreementMeasure.Answer && MinDisagreement > 1)
        {
            yield return new ValidationResult("is 0 or 1 for answer", [nameof(MinDisagreement)]);
        }

        if (Candidates < KeptBy(1))
        {
            yield return new ValidationResult(
                $"a round is to keep {KeptBy(1)} (count / rounds) of its candidates; try more",
                [nameof(Candidates)]
            );
        }

        if (SamplesPerProblem > 1 && Temperature == 0)
        {
            yield return new ValidationResult(
                "several greedy answers to a problem are all the same; raise temperature",
                [nameof(SamplesPerProblem)]
            );
        }

        if (InventPrompt is null)
        {
            if (Problems is not null)
            {
                yield return new ValidationResult("goes with invent_prompt, which shows them", [nameof(Problems)]);
            }

            yield break;
        }

        if (SamplesPerProblem < 2)
        {
            yield return new ValidationResult(
                "nobody knows the answer of an invented problem, and one sample always agrees with itself; take 4 or more",
                [nameof(SamplesPerProblem)]
            );
        }

        if (SearchedFamilies.Count == 0 && Problems is null)
        {
            yield return new ValidationResult(
                "is required: invent_prompt shows problems, and there are none before the first round; or give family",
                [nameof(Problems)]
            );
        }
    }
}
