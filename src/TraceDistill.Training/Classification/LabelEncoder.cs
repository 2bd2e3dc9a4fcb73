using TraceDistill.Data.Labels;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Classification;

/// <summary>
/// Texts as a classifier reads them: the tokens that the tokenizer makes of a text, with those that it puts around it. A text is read at
/// its last token; of kind token, at each one that stands for characters of the text.
/// </summary>
/// <param name="tokenizer">The classifier's.</param>
/// <param name="kind">What is labelled.</param>
/// <param name="positions">The classifier's.</param>
/// <param name="maxLength">Tokens that longer texts are cut to; null where such a text is an error.</param>
public sealed class LabelEncoder(Tokenizer tokenizer, LabelKind kind, int positions, int? maxLength)
{
    /// <summary>Label of tokens outside of all spans.</summary>
    public const string Outside = "O";

    readonly int _limit = Math.Min(positions, maxLength ?? positions);

    /// <summary>The tokens of a text.</summary>
    /// <exception cref="InvalidInputException">It has none that are read, or too many.</exception>
    public EncodedText Encode(LabelledText text)
    {
        var encoded = kind == LabelKind.Token ? tokenizer.EncodeWithSpans(text.Text, addSpecialTokens: true) : null;
        int[] ids = encoded is null ? tokenizer.Encode(text.Text, addSpecialTokens: true) : [.. encoded.Ids];
        if (ids.Length > _limit && maxLength is null)
        {
            throw new InvalidInputException(
                $"{text.Where}: the text has {ids.Length} tokens, and the model {positions} positions; "
                    + $"set max_length: {positions} to cut such texts, or take a model with more"
            );
        }

        int[] kept = ids.Length > _limit ? Cut(text.Text, ids) : [.. Enumerable.Range(0, ids.Length)];
        int[] rows = encoded is null
            ? [kept.Length - 1]
            : [.. Enumerable.Range(0, kept.Length).Where(row => encoded.Offsets[kept[row]] is var token && token.Start < token.End)];
        return kept.Length == 0 || rows.Length == 0
            ? throw new InvalidInputException($"{text.Where}: the text has no tokens to read a label from")
            : new EncodedText(
                [.. kept.Select(token => ids[token])],
                rows,
                encoded is null ? [] : [.. rows.Select(row => encoded.Offsets[kept[row]])],
                encoded is null ? [] : [.. rows.Select(row => encoded.ByteSpans[kept[row]])]
            )
            {
                IsCut = kept.Length < ids.Length,
            };
    }

    /// <summary>
    /// Places of the tokens that are kept of a text that is too long: its end goes, and what the tokenizer puts behind a text stays, as in
    /// Hugging Face's truncation. A text that was cut ends like any other.
    /// </summary>
    int[] Cut(string text, int[] ids)
    {
        var behind = Math.Min(_limit, Behind(text, ids));
        return [.. Enumerable.Range(0, _limit - behind), .. Enumerable.Range(ids.Length - behind, behind)];
    }

    /// <returns>The number of tokens that stand for nothing of the text, behind it.</returns>
    int Behind(string text, int[] ids)
    {
        if (tokenizer.FindSpans(text, addSpecialTokens: true) is { } found)
        {
            return found.ByteSpans.Reverse().TakeWhile(bytes => bytes.Start == bytes.End).Count();
        }

        // A tokenizer that changes texts first, as BERT's does, does not tell places: there the text's own tokens are looked for.
        var own = tokenizer.Encode(text, addSpecialTokens: false);
        var before = ids.AsSpan().IndexOf(own);
        return before < 0 ? 0 : ids.Length - own.Length - before;
    }

    /// <summary>
    /// The labels of tokens: of each the span with which it shares most characters (the first of equals), <see cref="Outside"/> of those
    /// that share none.
    /// </summary>
    /// <param name="offsets">[M] characters of the tokens.</param>
    /// <param name="spans">Labelled spans.</param>
    public static string[] LabelsOf(IReadOnlyList<TextSpan> offsets, IReadOnlyList<LabelledSpan> spans) =>
        [.. offsets.Select(token => spans.Where(span => Shared(span, token) > 0).MaxBy(span => Shared(span, token))?.Label ?? Outside)];

    static int Shared(LabelledSpan span, TextSpan token) => Math.Min(span.End, token.End) - Math.Max(span.Start, token.Start);
}

/// <summary>A text in tokens.</summary>
/// <param name="Ids">All of them.</param>
/// <param name="Rows">[M] those that labels are read from.</param>
/// <param name="Offsets">[M] their characters; empty where whole texts are labelled.</param>
/// <param name="Bytes">[M] their bytes of the text as UTF-8; empty where whole texts are labelled.</param>
public sealed record EncodedText(int[] Ids, int[] Rows, TextSpan[] Offsets, TextSpan[] Bytes)
{
    /// <summary>True where the text has more tokens.</summary>
    public bool IsCut { get; init; }

    /// <summary>Returns the number of spans that begin behind the last token that is read.</summary>
    public int Unread(IReadOnlyList<LabelledSpan> spans) => IsCut ? spans.Count(span => span.Start >= Offsets[^1].End) : 0;

    /// <summary>As a sequence whose labels are not known.</summary>
    public TraceTokens Unlabelled() => new(Ids, Ids.Length, null) { Labels = new LabelTargets(0, Rows, [], []) };
}
