namespace TraceDistill.Training.Alignment;

/// <summary>Counts of the changes that a student with another chat template than the teacher's made to the traces.</summary>
public readonly record struct TemplateChanges()
{
    /// <summary>Traces whose prompt was rendered with the student's template in place of the teacher's.</summary>
    public long Rendered { get; init; }

    /// <summary>Those whose opening think tag the student's prompt writes already.</summary>
    public long TagsLeftOut { get; init; }

    /// <summary>Those that got a think tag, which the teacher's prompt had written or the student's needs.</summary>
    public long TagsAdded { get; init; }

    /// <summary>Those whose tag stands within a token, so that their text was tokenized anew and aligned by bytes.</summary>
    public long ByBytes { get; init; }

    /// <summary>Traces that ended with a token at which the student's servers do not stop.</summary>
    public long EndsReplaced { get; init; }

    /// <summary>The last such token.</summary>
    public int? ReplacedEnd { get; init; }

    public static TemplateChanges operator +(TemplateChanges a, TemplateChanges b) =>
        new()
        {
            Rendered = a.Rendered + b.Rendered,
            TagsLeftOut = a.TagsLeftOut + b.TagsLeftOut,
            TagsAdded = a.TagsAdded + b.TagsAdded,
            ByBytes = a.ByBytes + b.ByBytes,
            EndsReplaced = a.EndsReplaced + b.EndsReplaced,
            ReplacedEnd = b.ReplacedEnd ?? a.ReplacedEnd,
        };
}
