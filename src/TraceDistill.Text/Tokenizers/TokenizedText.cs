using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers;

/// <summary>The tokens of a text and where in it each of them stands.</summary>
public sealed record TokenizedText
{
    public required IReadOnlyList<int> Ids { get; init; }

    /// <summary>
    /// For each token the bytes it stands for, of the original text as UTF-8. Side by side they cover the text: every byte is
    /// in the span of one token, unless the tokenizer drops it. A token that ends inside a character ends inside its bytes.
    /// </summary>
    /// <remarks>
    /// What the tokenizer adds (special tokens around the text, a space or mark in front of it) has no bytes. A character that
    /// normalisation made out of others cannot be cut in the original: its bytes go to the token that completes it, so where a
    /// span ends, the tokens so far say all of the text so far (marks that normalisation puts in another order aside).
    /// </remarks>
    public required IReadOnlyList<TextSpan> ByteSpans { get; init; }

    /// <summary>
    /// For each token the characters (Unicode code points) of the original text that Hugging Face's
    /// tokenizers report: whole characters, so that neighbours can overlap, without the white space
    /// around words where the tokenizer trims it, (0, 0) for special tokens around the text.
    /// </summary>
    public required IReadOnlyList<TextSpan> Offsets { get; init; }
}
