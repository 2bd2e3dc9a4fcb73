using System.Text.RegularExpressions;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.Patterns;

/// <summary>
/// A regular expression of tokenizer.json that is looked for in whole characters, those above U+FFFF too. Safe to use from any thread.
/// </summary>
sealed class CharacterRegex
{
    readonly Regex _regex;
    readonly Lazy<(StandIns StandIns, Regex Regex)> _shadowed;

    /// <exception cref="ArgumentException">The pattern is malformed, or .NET reads it otherwise than Hugging Face's engine.</exception>
    public CharacterRegex(string source)
    {
        var pattern = OnigurumaPattern.Parse(source);
        _regex = Compile(_ => "");
        _shadowed = new Lazy<(StandIns, Regex)>(() =>
        {
            var standIns = new StandIns([pattern]);
            return (standIns, pattern.Sets.Count == 0 ? _regex : Compile(set => standIns.Units(0, set)));
        });
        if (pattern.Sets.Count > 0)
        {
            _ = _shadowed.Value;
        }

        Regex Compile(Func<int, string> standIns) => FilePattern.Compile(pattern.ToDotNet(standIns));
    }

    /// <summary>Where it stands in a text, in order.</summary>
    /// <exception cref="RegexMatchTimeoutException">It takes more time than a pattern of a file may.</exception>
    public List<Piece> Matches(string text)
    {
        var (pieces, watch) = (new List<Piece>(), FilePattern.WatchFor(text.Length));
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            foreach (var match in _regex.EnumerateMatches(text))
            {
                pieces.Add(new Piece(match.Index, match.Length));
                watch.Look();
            }

            return pieces;
        }

        var shadow = new BmpShadow();
        foreach (var match in _shadowed.Value.Regex.EnumerateMatches(shadow.Of(text, _shadowed.Value.StandIns)))
        {
            pieces.Add(shadow.ToOriginal(new Piece(match.Index, match.Length)));
            watch.Look();
        }

        return pieces;
    }
}
