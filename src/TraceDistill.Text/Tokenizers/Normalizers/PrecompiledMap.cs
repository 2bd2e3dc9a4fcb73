using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.Normalizers;

/// <summary>SentencePiece's map of characters and clusters of them to text, compiled: what a <c>Precompiled</c> normalizer does.</summary>
/// <remarks>
/// Four bytes with the size of a trie, the trie as darts-clone lays it out (a double array of 32-bit units), and texts that end in a zero;
/// the trie's values are places in these. Read as Hugging Face's port reads it: the shortest beginning that the map knows decides for the
/// whole of a character or cluster.
/// </remarks>
sealed class PrecompiledMap
{
    /// <summary>Bytes of UTF-8 from which a cluster is looked up character by character only.</summary>
    const int LongCluster = 6;

    /// <summary>Bytes of UTF-8 that one text may have: Unicode's longest form of a character has 33.</summary>
    const int LongestText = 256;

    readonly uint[] _trie;
    readonly byte[] _texts;

    /// <exception cref="FormatException">The bytes are no such map.</exception>
    public PrecompiledMap(ReadOnlySpan<byte> bytes)
    {
        var size = bytes.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (size == 0 || size % 4 != 0 || size > bytes.Length - 4)
        {
            throw new FormatException("its trie does not fit into it");
        }

        _trie = new uint[size / 4];
        for (var unit = 0; unit < _trie.Length; unit++)
        {
            _trie[unit] = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(4 + (4 * unit))..]);
        }

        _texts = bytes[(4 + (int)size)..].ToArray();
        if (!Utf8.IsValid(_texts))
        {
            throw new FormatException("its texts are not UTF-8");
        }

        for (int start = 0, length; start < _texts.Length; start += length + 1)
        {
            length = LengthAt(start);
            if (length > LongestText)
            {
                throw new FormatException($"it has a text of {length:N0} bytes, and no character becomes more than {LongestText}");
            }
        }
    }

    /// <summary>The text with what the map knows put in place.</summary>
    public string Apply(string text, TextAlignment? alignment)
    {
        var (runes, skipped, isChanged) = (new List<ComposedRune>(text.Length), 0, false);
        for (int start = 0, length; start < text.Length; start += length)
        {
            length = StringInfo.GetNextTextElementLength(text.AsSpan(start));
            var cluster = text.AsSpan(start, length);
            if (Encoding.UTF8.GetByteCount(cluster) < LongCluster && Find(cluster) is { } whole)
            {
                Put(whole, CountRunes(cluster));
                continue;
            }

            foreach (var rune in cluster.EnumerateRunes())
            {
                if (Find(rune.ToString()) is { } changed)
                {
                    Put(changed, 1);
                }
                else
                {
                    runes.Add(new ComposedRune(rune, 1));
                }
            }
        }

        if (!isChanged)
        {
            return text;
        }

        alignment?.Recompose(text, runes, skipped);
        var result = new StringBuilder(text.Length);
        foreach (var (rune, _) in runes)
        {
            result.Append(rune.ToString());
        }

        return result.ToString();

        // One for one as far as they go; more are inserted, and what is left over belongs to the character before it.
        void Put(string changed, int replaced)
        {
            isChanged = true;
            foreach (var rune in changed.EnumerateRunes())
            {
                runes.Add(new ComposedRune(rune, replaced-- > 0 ? 1 : 0));
            }

            if (replaced > 0 && runes.Count == 0)
            {
                skipped += replaced;
            }
            else if (replaced > 0)
            {
                runes[^1] = runes[^1] with { Replaced = runes[^1].Replaced + replaced };
            }
        }
    }

    /// <summary>Finds the text for a character or cluster; null where it stays as it is.</summary>
    string? Find(ReadOnlySpan<char> part)
    {
        Span<byte> key = stackalloc byte[LongCluster];
        key = key[..Encoding.UTF8.GetBytes(part, key)];
        var place = OffsetOf(_trie[0]);
        foreach (var label in key)
        {
            place ^= label;
            if (label == 0 || place >= _trie.Length || LabelOf(_trie[place]) != label)
            {
                return null;
            }

            var unit = _trie[place];
            place ^= OffsetOf(unit);
            if (HasValue(unit))
            {
                return place < _trie.Length ? TextAt(ValueOf(_trie[place])) : null;
            }
        }

        return null;
    }

    string? TextAt(int start) => start < _texts.Length ? Encoding.UTF8.GetString(_texts, start, LengthAt(start)) : null;

    int LengthAt(int start) => _texts.AsSpan(start).IndexOf((byte)0) is >= 0 and var length ? length : _texts.Length - start;

    static int CountRunes(ReadOnlySpan<char> text)
    {
        var count = 0;
        foreach (var _ in text.EnumerateRunes())
        {
            count++;
        }

        return count;
    }

    static uint OffsetOf(uint unit) => unit >> 10 << (int)((unit & (1 << 9)) >> 6);

    /// <summary>A unit with a value has another label than any byte.</summary>
    static uint LabelOf(uint unit) => unit & (1u << 31 | 0xFF);

    static bool HasValue(uint unit) => (unit >> 8 & 1) == 1;

    static int ValueOf(uint unit) => (int)(unit & int.MaxValue);
}
