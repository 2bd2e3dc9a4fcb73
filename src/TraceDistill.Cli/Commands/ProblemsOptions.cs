using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Cli.Binding;
using TraceDistill.Data.Options;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>problems</c>.</summary>
sealed record ProblemsOptions : ProblemReaderOptions, IValidatableObject
{
    /// <value>All families.</value>
    [KnownFamilies]
    [Description(
        "Families to generate, or all of addition, subtraction, multiplication, division, comparison, sorting, modular, clock, "
            + "equation, sequence, story2, story4"
    )]
    public IReadOnlyList<string> Family { get; init; } = [];

    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Number of problems; with --from, the most taken from each file")]
    public int? Count { get; init; }

    /// <value>None.</value>
    [FlagOrValue]
    [Description("Number of held-out problems to write beside the others; without a number, all problems are held-out ones")]
    public HeldOutShare HeldOut { get; init; } = HeldOutShare.None;

    [Description("Seed of the problems")]
    public int Seed { get; init; }

    /// <value>False.</value>
    [Description(
        "Write with the story problems of JSON Lines files what each number is for: spans of start, gain, loss and size, "
            + "which classify learns to label"
    )]
    public bool Spans { get; init; }

    [InputPath]
    [Description("Convert these problem files, JSON Lines, JSON (both also .gz) or Parquet, instead of generating")]
    public IReadOnlyList<string> From { get; init; } = [];

    /// <value>Null: none.</value>
    [Description(
        "Draw each problem as a picture, a PNG file named in the field picture: true, or a map of sizes; "
            + "for students that look at it while their teacher reads the text"
    )]
    public TextDrawing? Pictures { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (From.Count == 0 && Count is null)
        {
            yield return new ValidationResult(
                "is required: say how many problems to generate, or name the files to convert (from)",
                [nameof(Count)]
            );
        }

        if (From.Count > 0 && Family.Count > 0)
        {
            yield return new ValidationResult("is for generated problems; files that are converted keep what they hold", [nameof(Family)]);
        }

        if (From.Count > 0 && Spans)
        {
            yield return new ValidationResult("is for generated problems; files that are converted have none", [nameof(Spans)]);
        }

        if (From.Count > 0 && HeldOut != HeldOutShare.None)
        {
            yield return new ValidationResult(
                "is for generated problems; files that are converted keep their own split",
                [nameof(HeldOut)]
            );
        }
    }
}
