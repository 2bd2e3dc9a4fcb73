using System.Text;

namespace TraceDistill.Text.Tokenizers.Spans;

/// <summary>Where in the original text each UTF-16 unit of a text came from, kept up to date while the text is changed.</summary>
sealed class TextAlignment
{
    List<Origin> _origins;

    /// <summary>A stretch of the original text, not changed yet.</summary>
    public TextAlignment(string original, int start, int end)
    {
        _origins = new List<Origin>(end - start);
        while (start < end)
        {
            var length = LengthOfRune(original.AsSpan(start, end - start));
            var whole = new TextSpan(start, start + length);
            Add(_origins, new Origin(whole, whole), length);
            start += length;
        }
    }

    TextAlignment(List<Origin> origins) => _origins = origins;

    public Origin this[int position] => _origins[position];

    public int Length => _origins.Count;

    public TextAlignment Slice(int start, int end) => new(_origins[start..end]);

    /// <summary>
    /// Text was put in front, which belongs to no part of the original; Hugging Face's tokenizers report it at the first character.
    /// </summary>
    public void Prepend(int length) => _origins.InsertRange(0, Enumerable.Repeat(_origins[0].WithoutShare(), length));

    /// <summary>
    /// Matches were replaced. The last character of what replaces them completes what was
    /// matched; all are reported where its last character was.
    /// </summary>
    public void Replace(IEnumerable<Piece> matches, string content)
    {
        var (origins, end) = (new List<Origin>(_origins.Count), 0);
        var lastRune = content.Length - (content.Length > 1 && char.IsSurrogatePair(content[^2], content[^1]) ? 2 : 1);
        foreach (var match in matches.Where(match => match.Length > 0))
        {
            origins.AddRange(_origins[end..match.Start]);
            end = match.Start + match.Length;
            var reported = _origins[end - 1].Reported;
            var share = new TextSpan(_origins[match.Start].Share.Start, _origins[end - 1].Share.End);
            if (content.Length > 0)
            {
                Add(origins, new Origin(reported, share).WithoutShare(), lastRune);
                Add(origins, new Origin(reported, share), content.Length - lastRune);
            }
        }

        origins.AddRange(_origins[end..]);
        _origins = origins;
    }

    /// <summary>
    /// The text was taken apart and put together again. Each new character replaces the next one of the old and swallows those
    /// after it that it says it does, or was inserted. Hugging Face's tokenizers report it where the one that it replaces was.
    /// </summary>
    /// <param name="before">The text.</param>
    /// <param name="after">Its characters after the change.</param>
    /// <param name="skipped">Characters at the beginning that were removed.</param>
    public void Recompose(ReadOnlySpan<char> before, IEnumerable<ComposedRune> after, int skipped = 0)
    {
        var (origins, end) = (new List<Origin>(_origins.Count), 0);
        for (var i = 0; i < skipped; i++)
        {
            end += LengthOfRune(before[end..]);
        }
        foreach (var composed in after)
        {
            var start = end;
            for (var i = 0; i < composed.Replaced; i++)
            {
                end += LengthOfRune(before[end..]);
            }
            var origin =
                composed.Replaced == 0 && start == 0 ? _origins[0].WithoutShare()
                : composed.Replaced == 0
                    ? new Origin(_origins[start - 1].Reported, new TextSpan(_origins[start - 1].Share.End, _origins[start - 1].Share.End))
                : new Origin(_origins[start].Reported, new TextSpan(_origins[start].Share.Start, _origins[end - 1].Share.End));
            Add(origins, origin, composed.Rune.Utf16SequenceLength);
        }

        _origins = origins;
    }

    static void Add(List<Origin> origins, Origin origin, int count)
    {
        for (var i = 0; i < count; i++)
        {
            origins.Add(origin);
        }
    }

    static int LengthOfRune(ReadOnlySpan<char> text)
    {
        Rune.DecodeFromUtf16(text, out _, out var length);
        return length;
    }
}

/// <summary>Where a UTF-16 unit came from, in UTF-16 units of the original text.</summary>
/// <param name="Reported">Offsets as Hugging Face's tokenizers report them: whole characters.</param>
/// <param name="Share">The part of the original that the unit's character, and no other, stands for.</param>
readonly record struct Origin(TextSpan Reported, TextSpan Share)
{
    public Origin WithoutShare() => this with { Share = new TextSpan(Share.Start, Share.Start) };
}

/// <summary>A character of a normalised text, and how many of the text before it replaces.</summary>
readonly record struct ComposedRune(Rune Rune, int Replaced);
