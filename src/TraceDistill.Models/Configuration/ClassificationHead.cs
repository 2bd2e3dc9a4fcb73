namespace TraceDistill.Models.Configuration;

/// <summary>Unit that a classifier labels.</summary>
public enum LabelKind
{
    /// <summary>A whole text, read at its last token.</summary>
    Sequence,

    /// <summary>Each token of a text.</summary>
    Token,
}

/// <summary>
/// Labels in place of a vocabulary: logits are <c>score.weight</c> · h, and of tokens + <c>score.bias</c>, as in transformers'
/// <c>ForSequenceClassification</c> and <c>ForTokenClassification</c>. Logits of labels have no soft cap.
/// </summary>
/// <param name="Kind">What is labelled.</param>
/// <param name="Labels">Their names by id (<c>id2label</c>), no two alike.</param>
public sealed record ClassificationHead(LabelKind Kind, IReadOnlyList<string> Labels)
{
    public const string Weight = "score.weight",
        Bias = "score.bias";

    const string SequenceSuffix = "ForSequenceClassification",
        TokenSuffix = "ForTokenClassification";

    /// <summary>The token that texts of one batch are filled up with, without which transformers takes one text at a time.</summary>
    public int? PadTokenId { get; init; }

    internal string Suffix => Kind == LabelKind.Sequence ? SequenceSuffix : TokenSuffix;

    /// <returns>The kind of a class of transformers; null where it is no classifier's.</returns>
    internal static LabelKind? KindOf(string architecture) =>
        architecture.EndsWith(SequenceSuffix, StringComparison.Ordinal) ? LabelKind.Sequence
        : architecture.EndsWith(TokenSuffix, StringComparison.Ordinal) ? LabelKind.Token
        : null;

    public bool Equals(ClassificationHead? other) =>
        other is not null && Kind == other.Kind && PadTokenId == other.PadTokenId && Labels.SequenceEqual(other.Labels);

    public override int GetHashCode() => HashCode.Combine(Kind, PadTokenId, Labels.Count);
}
