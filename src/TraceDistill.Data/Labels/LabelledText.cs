namespace TraceDistill.Data.Labels;

/// <summary>A text to be labelled, and what is known of its labels.</summary>
/// <param name="Where">File and line, for messages.</param>
/// <param name="Text">The text.</param>
public sealed record LabelledText(string Where, string Text)
{
    /// <summary>The source's own id; null where it has none.</summary>
    public string? Id { get; init; }

    /// <summary>Labels of the whole text and their probabilities, which sum to 1; null where not known.</summary>
    public IReadOnlyDictionary<string, double>? Label { get; init; }

    /// <summary>Labelled stretches of the text, in its order and apart from each other; null where they are not known.</summary>
    public IReadOnlyList<LabelledSpan>? Spans { get; init; }
}

/// <summary>A labelled stretch of a text, half-open.</summary>
/// <param name="Start">Its first character, from 0, in Unicode code points as Python counts them.</param>
/// <param name="End">The character behind it.</param>
/// <param name="Label">Its label.</param>
public sealed record LabelledSpan(int Start, int End, string Label);

/// <summary>Fields of a file of labelled texts.</summary>
public sealed record LabelFields
{
    /// <value>Null: <c>text</c>, or the usual names of a problem.</value>
    public string? Text { get; init; }

    /// <summary>The field with the label of the text, or with labels and their probabilities.</summary>
    public string? Label { get; init; }

    /// <summary>The field with the text's labelled spans.</summary>
    public string? Spans { get; init; }

    /// <summary>True where a record without the field is one whose labels are not known; false where it is an error.</summary>
    public bool MayBeUnlabelled { get; init; }
}
