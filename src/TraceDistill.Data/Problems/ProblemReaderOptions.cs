using System.ComponentModel;

namespace TraceDistill.Data.Problems;

/// <summary>
/// Names of a problem file's fields, and the treatment of problems that stand in it twice: settings of every verb that reads
/// such files.
/// </summary>
public record ProblemReaderOptions
{
    /// <summary>Names of fields, or paths such as <c>extra.question</c>.</summary>
    /// <value>None: found by the usual names.</value>
    [Description(
        "Field of the problem file that holds the problem; of several, such as Body, Question, "
            + "the texts are joined by line breaks; unless given, found by its usual names"
    )]
    public IReadOnlyList<string> ProblemField { get; init; } = [];

    /// <value>None: found by the usual names.</value>
    [Description(
        "Field that holds the final answer, such as final or reward_model.ground_truth; unless given, found by its usual names "
            + "or in the solution's last \\boxed{}"
    )]
    public string? AnswerField { get; init; }

    /// <value>None: found by the usual names.</value>
    [Description("Field that holds a worked solution; unless given, solution, or the last turn of a conversation")]
    public string? SolutionField { get; init; }

    /// <value><see cref="DuplicateProblems.Error"/></value>
    [Description("Handling of a problem that is in the file twice: error, or skip all but the first")]
    public DuplicateProblems Duplicates { get; init; } = DuplicateProblems.Error;
}

/// <summary>Treatment of a problem whose id an earlier one of the file has.</summary>
public enum DuplicateProblems
{
    /// <summary>The file is refused.</summary>
    Error,

    /// <summary>It is passed over, unless it is another problem under the same id.</summary>
    Skip,
}
