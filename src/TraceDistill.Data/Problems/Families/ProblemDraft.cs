using TraceDistill.Data.Labels;

namespace TraceDistill.Data.Problems.Families;

/// <summary>A generated problem before it gets its id.</summary>
/// <param name="Key">
/// The question without the wording: the operands in canonical order. Two texts that ask the same thing
/// have the same key, so that a split by key cannot be crossed by rephrasing or by swapping operands.
/// </param>
/// <param name="Text">The question.</param>
/// <param name="Solution">One of many valid worked solutions.</param>
/// <param name="Answer">The final answer.</param>
public sealed record ProblemDraft(string Key, string Text, string Solution, string Answer)
{
    /// <summary>Roles of the numbers of the question, where the family says them.</summary>
    /// <value>None.</value>
    public IReadOnlyList<LabelledSpan> Spans { get; init; } = [];
}
