using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace TraceDistill.Core.Tokenization;

/// <summary>A stretch of text, in UTF-16 units.</summary>
readonly record struct Piece(int Start, int Length);

/// <summary>One step of a pre-tokenizer: cuts a piece into smaller ones, in order.</summary>
interface ISplitter
{
    void Split(ReadOnlySpan<char> text, Piece piece, List<Piece> pieces);
}

/// <summary>Cuts at the matches of a regular expression.</summary>
/// <param name="pattern">What to look for.</param>
/// <param name="keepMatches">Whether matches become pieces.</param>
/// <param name="keepGaps">Whether the text between matches becomes pieces.</param>
/// <exception cref="ArgumentException">The pattern is malformed.</exception>
sealed class RegexSplitter(string pattern, bool keepMatches = true, bool keepGaps = true) : ISplitter
{
    /// <summary>Compiling a pattern takes a tenth of a second, and many models share a few.</summary>
    static readonly ConcurrentDictionary<string, Regex> Compiled = [];

    readonly Regex _regex = Compiled.GetOrAdd(pattern, static text => new Regex(text, RegexOptions.Compiled | RegexOptions.CultureInvariant));

    public void Split(ReadOnlySpan<char> text, Piece piece, List<Piece> pieces)
    {
        var end = 0;
        foreach (var match in _regex.EnumerateMatches(text.Slice(piece.Start, piece.Length)))
        {
            if (keepGaps && match.Index > end)
                pieces.Add(new Piece(piece.Start + end, match.Index - end));
            if (keepMatches && match.Length > 0)
                pieces.Add(new Piece(piece.Start + match.Index, match.Length));
            end = match.Index + match.Length;
        }

        if (keepGaps && end < piece.Length)
            pieces.Add(new Piece(piece.Start + end, piece.Length - end));
    }
}
