using System.Runtime.InteropServices;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Turns text into ids: added tokens are cut out, the rest is normalised, cut into pieces and merged. For one thread at a time.
/// </summary>
/// <param name="rawTokens">Added tokens that are looked for in the text as it is.</param>
/// <param name="normalizer">Normalizer of the text between them.</param>
/// <param name="normalizedTokens">Added tokens that are looked for in that.</param>
/// <param name="preTokenizer">Cuts what lies between those.</param>
/// <param name="divider">Divides pieces where that changes nothing; null where it might.</param>
/// <param name="pieceEncoder">Encodes what is cut.</param>
sealed class TextEncoder(
    AddedTokenMatcher rawTokens,
    TextNormalizer normalizer,
    AddedTokenMatcher normalizedTokens,
    PreTokenizer preTokenizer,
    PieceDivider? divider,
    PieceEncoder pieceEncoder
)
{
    // Of the text at hand, kept between calls to save the allocation.
    readonly List<char> _normalized = [];
    readonly List<char> _prepared = [];
    readonly List<Piece> _pieces = [];
    readonly List<char> _spelled = [];
    readonly List<Piece> _spelledPieces = [];
    readonly List<PieceToken> _spelledTokens = [];

    /// <summary>
    /// Factory of encoders that share a tokenizer's tables; told to, of text that stands within another, before which nothing is put.
    /// </summary>
    public static Func<bool, TextEncoder> FactoryFor(TokenizerDefinition definition)
    {
        var (rawTokens, normalizedTokens) = (Matcher(isNormalized: false), Matcher(isNormalized: true));
        var (normalizer, preTokenizer, merges, symbols) = (
            definition.Normalizer,
            definition.PreTokenizer,
            new MergeTable(definition.Merges),
            definition.Symbols
        );
        var wholePieces = definition.IgnoreMerges ? definition.Vocabulary : null;
        var divider = PieceDivider.For(definition);
        return isWithin => new TextEncoder(
            rawTokens,
            isWithin ? normalizer.WithoutPrepending() : normalizer,
            normalizedTokens,
            isWithin ? preTokenizer.WithoutPrepending() : preTokenizer,
            divider,
            new PieceEncoder(merges, symbols, wholePieces)
        );

        AddedTokenMatcher Matcher(bool isNormalized) =>
            new(
                definition
                    .AddedTokens.Where(token => token.Value.Normalized == isNormalized)
                    .Select(token =>
                        (isNormalized ? definition.Normalizer.Normalize(token.Value.Content) : token.Value.Content, token.Key, token.Value)
                    )
            );
    }

    /// <summary>Appends the ids of a text.</summary>
    /// <param name="recorder">Records where they are; null where they are not wanted.</param>
    public void Encode(string text, List<int> ids, SpanRecorder? recorder)
    {
        var start = 0;
        while (rawTokens.Next(text, start) is { } match)
        {
            EncodeSection(start, match.Start);
            ids.Add(match.Id);
            recorder?.AddMatch(recorder.Align(match.Start, match.End));
            start = match.End;
        }

        EncodeSection(start, text.Length);

        void EncodeSection(int start, int end)
        {
            if (start == end)
            {
                return;
            }
            var alignment = recorder?.Align(start, end);
            EncodeNormalized(normalizer.Normalize(text, start, end, alignment, _normalized), alignment, ids, recorder, isStart: start == 0);
        }
    }

    void EncodeNormalized(ReadOnlySpan<char> text, TextAlignment? alignment, List<int> ids, SpanRecorder? recorder, bool isStart)
    {
        var start = 0;
        while (normalizedTokens.Next(text, start) is { } match)
        {
            EncodePlain(text[start..match.Start], alignment?.Slice(start, match.Start), ids, recorder, isStart && start == 0);
            ids.Add(match.Id);
            recorder?.AddMatch(alignment!.Slice(match.Start, match.End));
            start = match.End;
        }

        EncodePlain(text[start..], alignment?.Slice(start, text.Length), ids, recorder, isStart && start == 0);
    }

    void EncodePlain(ReadOnlySpan<char> text, TextAlignment? alignment, List<int> ids, SpanRecorder? recorder, bool isStart)
    {
        if (text.IsEmpty)
        {
            return;
        }
        text = preTokenizer.Prepare(text, isStart, alignment, _prepared);
        preTokenizer.Split(text, _pieces);
        foreach (var piece in _pieces)
        {
            if (preTokenizer.SpelledSplitters.Count > 0)
            {
                EncodeSpelled(text, piece, alignment, ids, recorder);
                continue;
            }

            for (int start = piece.Start, end = start + piece.Length, length; start < end; start += length)
            {
                var rest = text[start..end];
                length = divider?.LengthOfFirst(rest) ?? rest.Length;
                var tokens = pieceEncoder.Encode(rest[..length]);
                foreach (var token in tokens)
                {
                    ids.Add(token.Id);
                }
                recorder?.AddPiece(text, alignment!, start, tokens);
            }
        }
    }

    /// <summary>Steps behind ByteLevel may cut within a character: its bytes are letters to them.</summary>
    void EncodeSpelled(ReadOnlySpan<char> text, Piece piece, TextAlignment? alignment, List<int> ids, SpanRecorder? recorder)
    {
        _spelled.Clear();
        _spelledTokens.Clear();
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.Slice(piece.Start, piece.Length).EnumerateRunes())
        {
            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                _spelled.Add(ByteLevelAlphabet.ToChar(value));
            }
        }

        var spelled = CollectionsMarshal.AsSpan(_spelled);
        preTokenizer.SplitSpelled(spelled, _spelledPieces);
        foreach (var part in _spelledPieces)
        {
            _spelledTokens.AddRange(pieceEncoder.Encode(spelled.Slice(part.Start, part.Length)));
        }
        foreach (var token in _spelledTokens)
        {
            ids.Add(token.Id);
        }
        recorder?.AddPiece(text, alignment!, piece.Start, CollectionsMarshal.AsSpan(_spelledTokens));
    }
}
