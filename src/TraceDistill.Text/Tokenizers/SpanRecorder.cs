using System.Text;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Notes where in the original text tokens stand, while they are made.</summary>
sealed class SpanRecorder
{
    readonly string _original;

    // For each UTF-16 position of the original: the bytes of UTF-8 and the code points before it.
    readonly int[] _bytes;
    readonly int[] _codePoints;

    public SpanRecorder(string original)
    {
        _original = original;
        (_bytes, _codePoints) = (new int[original.Length + 1], new int[original.Length + 1]);
        var (position, bytes, codePoints) = (0, 0, 0);
        foreach (var rune in original.AsSpan().EnumerateRunes())
        {
            position += rune.Utf16SequenceLength;
            (_bytes[position], _codePoints[position]) = (bytes += rune.Utf8SequenceLength, ++codePoints);
        }
    }

    public List<TextSpan> ByteSpans { get; } = [];

    /// <summary>In code points, as Hugging Face's tokenizers report them before they trim.</summary>
    public List<TextSpan> Offsets { get; } = [];

    public TextAlignment Align(int start, int end) => new(_original, start, end);

    /// <summary>Tokens that the post-processor put before the text (<paramref name="position"/> 0) or after it.</summary>
    public void AddAround(int count, int position)
    {
        ByteSpans.AddRange(Enumerable.Repeat(new TextSpan(_bytes[position], _bytes[position]), count));
        Offsets.AddRange(Enumerable.Repeat(default(TextSpan), count));
    }

    /// <summary>An added token that was found in the text.</summary>
    public void AddMatch(TextAlignment match)
    {
        var (first, last) = (match[0], match[match.Length - 1]);
        ByteSpans.Add(new TextSpan(_bytes[first.Share.Start], _bytes[last.Share.End]));
        AddReported(first, last);
    }

    /// <summary>The tokens of a piece.</summary>
    public void AddPiece(ReadOnlySpan<char> text, TextAlignment alignment, int start, ReadOnlySpan<PieceToken> tokens)
    {
        // Where the last token ended: in a character, so many of its bytes in.
        var (position, inside, end) = (start, 0, 0);
        foreach (var token in tokens)
        {
            var (first, last) = (position, position);
            var begin = inside > 0 ? end : _bytes[alignment[position].Share.Start];
            for (var left = token.Length; left > 0; )
            {
                Rune.DecodeFromUtf16(text[position..], out var rune, out var length);
                var taken = Math.Min(left, rune.Utf8SequenceLength - inside);
                (left, inside, last) = (left - taken, inside + taken, position);
                if (inside == rune.Utf8SequenceLength)
                {
                    (position, inside) = (position + length, 0);
                }
            }

            end = inside > 0 ? Cut(text, alignment[position], position, inside) : _bytes[alignment[last].Share.End];
            ByteSpans.Add(new TextSpan(begin, end));
            AddReported(alignment[first], alignment[last]);
        }
    }

    /// <summary>
    /// A place inside a character: in the original, that many bytes into the same character or, if there is another, before it.
    /// </summary>
    int Cut(ReadOnlySpan<char> text, Origin origin, int position, int inside)
    {
        Rune.DecodeFromUtf16(text[position..], out var rune, out var length);
        var share = _original.AsSpan(origin.Share.Start, origin.Share.End - origin.Share.Start);
        return _bytes[origin.Share.Start] + (share.SequenceEqual(text.Slice(position, length)) ? inside : 0);
    }

    void AddReported(Origin first, Origin last) =>
        Offsets.Add(new TextSpan(_codePoints[first.Reported.Start], _codePoints[last.Reported.End]));
}
