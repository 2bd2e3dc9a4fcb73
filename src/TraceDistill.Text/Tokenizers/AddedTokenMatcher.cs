using System.Buffers;
using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Finds added tokens in text: the leftmost, of those the longest, as Hugging Face's tokenizers do.</summary>
sealed class AddedTokenMatcher
{
    readonly SearchValues<string> _needles;
    readonly Dictionary<char, Candidate[]> _byFirstChar;

    /// <param name="tokens">The tokens with their ids and with the text to look for (the normalised content for normalised tokens).</param>
    public AddedTokenMatcher(IEnumerable<(string Pattern, int Id, AddedToken Token)> tokens)
    {
        var candidates = tokens
            .Where(token => token.Pattern.Length > 0)
            .Select(token => new Candidate(token.Pattern, token.Id, token.Token))
            .ToList();
        _needles = SearchValues.Create(candidates.Select(candidate => candidate.Pattern).ToArray(), StringComparison.Ordinal);
        _byFirstChar = candidates
            .GroupBy(candidate => candidate.Pattern[0])
            .ToDictionary(group => group.Key, group => group.OrderByDescending(candidate => candidate.Pattern.Length).ToArray());
    }

    /// <summary>The next added token at or after <paramref name="from"/>, its stripped white space included, or null.</summary>
    public Match? Next(ReadOnlySpan<char> text, int from)
    {
        if (_byFirstChar.Count == 0)
        {
            return null;
        }
        var searchFrom = from;
        while (text[searchFrom..].IndexOfAny(_needles) is var offset and >= 0)
        {
            var start = searchFrom + offset;
            var found = Longest(text[start..]);
            var end = start + found.Pattern.Length;
            searchFrom = end;
            if (found.Token.SingleWord && (EndsWithWord(text[..start]) || StartsWithWord(text[end..])))
            {
                continue;
            }
            if (found.Token.StripLeft)
            {
                start = Math.Max(from, text[..start].TrimEnd().Length);
            }
            if (found.Token.StripRight)
            {
                end += text[end..].Length - text[end..].TrimStart().Length;
            }
            return new Match(start, end, found.Id);
        }

        return null;
    }

    Candidate Longest(ReadOnlySpan<char> text)
    {
        foreach (var candidate in _byFirstChar[text[0]])
        {
            if (text.StartsWith(candidate.Pattern, StringComparison.Ordinal))
            {
                return candidate;
            }
        }

        throw new InvalidOperationException("the search found a pattern that does not stand there");
    }

    static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var last, out _) == OperationStatus.Done && IsWord(last);

    static bool StartsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var first, out _) == OperationStatus.Done && IsWord(first);

    /// <summary>
    /// <c>\w</c> of Unicode's regular expressions (UTS #18): letters, marks, decimal digits, connectors, joiners, circled letters.
    /// </summary>
    static bool IsWord(Rune rune) =>
        Rune.IsLetterOrDigit(rune)
        || Rune.GetUnicodeCategory(rune)
            is UnicodeCategory.NonSpacingMark
                or UnicodeCategory.SpacingCombiningMark
                or UnicodeCategory.EnclosingMark
                or UnicodeCategory.ConnectorPunctuation
                or UnicodeCategory.LetterNumber
        || rune.Value
            is 0x200C
                or 0x200D
                or (>= 0x24B6 and <= 0x24E9)
                or (>= 0x1F130 and <= 0x1F149)
                or (>= 0x1F150 and <= 0x1F169)
                or (>= 0x1F170 and <= 0x1F189);

    /// <summary>Where an added token stands, in UTF-16 units.</summary>
    public readonly record struct Match(int Start, int End, int Id);

    readonly record struct Candidate(string Pattern, int Id, AddedToken Token);
}
