using System.Globalization;
using System.Text;
using System.Text.Unicode;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Text.Tokenizers.Unicode;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Finds where in a text its tokens stand by what the tokens spell: their bytes where the text
/// has them, else their letters without case, accents and white space, which normalizers change.
/// </summary>
sealed class TokenPlacement
{
    /// <summary>SentencePiece's sign for a space.</summary>
    const int Mark = '▁';

    readonly TokenVocabulary _vocabulary;
    readonly int? _unknownId;
    readonly byte[] _text;

    /// <summary>For each character of the text, and for its end, the bytes and the letters before it.</summary>
    readonly List<int> _bytes = [];
    readonly List<int> _letters = [];

    /// <summary>The letters of the text, and of which character each is.</summary>
    readonly string _folded;
    readonly List<int> _characters = [];

    readonly List<TextSpan> _spans = [];

    /// <summary>The first character that is not spelled yet, and the first letter, which may be one behind the character's first.</summary>
    int _character,
        _letter;

    TokenPlacement(string text, TokenVocabulary vocabulary, int? unknownId)
    {
        (_vocabulary, _unknownId, _text) = (vocabulary, unknownId, Encoding.UTF8.GetBytes(text));
        var (folded, position) = (new StringBuilder(), 0);
        foreach (var (index, rune) in text.EnumerateRunes().Index())
        {
            _bytes.Add(position);
            _letters.Add(folded.Length);
            position += rune.Utf8SequenceLength;
            folded.Append(Fold(rune));
            _characters.AddRange(Enumerable.Repeat(index, folded.Length - _characters.Count));
        }

        _bytes.Add(position);
        _letters.Add(folded.Length);
        _folded = folded.ToString();
    }

    /// <summary>
    /// The bytes of the text, as UTF-8, that each token stands for: side by side, but for white space that the tokenizer drops.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="ids">Its tokens.</param>
    /// <param name="vocabulary">Gives their bytes.</param>
    /// <param name="unknownId">The token that stands for text without tokens.</param>
    /// <returns>Null where the tokens spell something else.</returns>
    public static IReadOnlyList<TextSpan>? Find(string text, IReadOnlyList<int> ids, TokenVocabulary vocabulary, int? unknownId)
    {
        var placement = new TokenPlacement(text, vocabulary, unknownId);
        for (int next = 0, count; next < ids.Count; next += count)
        {
            (count, var bytes) = placement.CharactersFrom(ids, next);
            var isPlaced =
                ids[next] == unknownId
                    ? placement.PlaceUnknown(ids, next + 1)
                    : placement.PlaceBytes(ids, next, count, bytes) || placement.PlaceLetters(count, bytes);
            if (!isPlaced)
            {
                return null;
            }
        }

        // What no token spells is not what the tokenizer made of the text.
        return placement._letter == placement._folded.Length ? placement._spans : null;
    }

    /// <summary>So many tokens as make whole characters, and their bytes.</summary>
    (int Count, byte[] Bytes) CharactersFrom(IReadOnlyList<int> ids, int next)
    {
        List<byte> bytes = [.. _vocabulary.GetBytes(ids[next])];
        var count = 1;
        while (next + count < ids.Count && ids[next + count] != _unknownId && !Utf8.IsValid([.. bytes]))
        {
            bytes.AddRange(_vocabulary.GetBytes(ids[next + count++]));
        }

        return (count, [.. bytes]);
    }

    /// <summary>Where the text goes on with the very bytes, or has them but for a space that was put before it.</summary>
    bool PlaceBytes(IReadOnlyList<int> ids, int next, int count, ReadOnlySpan<byte> bytes)
    {
        var position = _bytes[_character];
        var rest = _text.AsSpan(position);
        var isThere = rest.StartsWith(bytes);
        if (_letter != _letters[_character] || (!isThere && !(bytes is [(byte)' ', .. var behind] && rest.StartsWith(behind))))
        {
            return false;
        }

        var added = isThere ? 0 : 1;
        for (var i = 0; i < count; i++)
        {
            var end = position + _vocabulary.GetBytes(ids[next + i]).Length - (i == 0 ? added : 0);
            _spans.Add(new TextSpan(position, end));
            position = end;
        }

        while (_bytes[_character] < position)
        {
            _character++;
        }

        _letter = _letters[_character];
        return true;
    }

    /// <summary>Where it goes on with the letters. A character that stands for several goes to the token that has its last.</summary>
    bool PlaceLetters(int count, ReadOnlySpan<byte> bytes)
    {
        var letters = string.Concat(Encoding.UTF8.GetString(bytes).EnumerateRunes().Select(Fold));
        if (!_folded.AsSpan(_letter).StartsWith(letters, StringComparison.Ordinal))
        {
            return false;
        }

        var (letter, end) = (_letter + letters.Length, _character);
        if (letters.Length > 0)
        {
            var last = _characters[letter - 1];
            end = letter == _letters[last + 1] ? last + 1 : last;
            while (letter == _letters[end] && end < _bytes.Count - 1 && UnicodeTables.IsMark(At(end)))
            {
                end++;
            }
        }
        else if (_letter == _letters[_character] && _character < _bytes.Count - 1 && Rune.IsWhiteSpace(At(_character)))
        {
            end++;
        }

        AddSpans(count, end);
        _letter = Math.Max(letter, _letters[end]);
        return true;
    }

    /// <summary>Text without a token reaches up to where the next token that spells something begins.</summary>
    bool PlaceUnknown(IReadOnlyList<int> ids, int next)
    {
        var following = "";
        for (; next < ids.Count && following.Length == 0; next++)
        {
            following =
                ids[next] == _unknownId
                    ? ""
                    : string.Concat(Encoding.UTF8.GetString(_vocabulary.GetBytes(ids[next])).EnumerateRunes().Select(Fold));
        }

        var from = Math.Min(_letter + 1, _folded.Length);
        var at = following.Length == 0 ? _folded.Length : _folded.IndexOf(following, from, StringComparison.Ordinal);
        if (at < 0)
        {
            return false;
        }

        AddSpans(1, at < _folded.Length ? _characters[at] : _bytes.Count - 1);
        _letter = Math.Max(at, _letters[_character]);
        return true;
    }

    /// <summary>Gives what lies before a character to the last of so many tokens.</summary>
    void AddSpans(int count, int end)
    {
        var start = _bytes[_character];
        _spans.AddRange(Enumerable.Repeat(new TextSpan(start, start), count - 1));
        _spans.Add(new TextSpan(start, _bytes[end]));
        _character = end;
    }

    Rune At(int character)
    {
        Rune.DecodeFromUtf8(_text.AsSpan(_bytes[character]), out var rune, out _);
        return rune;
    }

    /// <summary>The part of a character that normalizers leave, whichever they are.</summary>
    static string Fold(Rune rune)
    {
        if (rune.IsAscii)
        {
            return rune.Value <= ' ' || rune.Value == 0x7F ? "" : $"{char.ToLowerInvariant((char)rune.Value)}";
        }

        var parts = CharacterChanges.Lowercase(UnicodeNormalization.ToFormKD(rune.ToString()), null).EnumerateRunes();
        return string.Concat(
            parts.Where(part =>
                !UnicodeTables.IsMark(part)
                && !Rune.IsWhiteSpace(part)
                && !UnicodeTables.IsBertControl(part)
                && part.Value != Mark
                && Rune.GetUnicodeCategory(part) != UnicodeCategory.Format
            )
        );
    }
}
