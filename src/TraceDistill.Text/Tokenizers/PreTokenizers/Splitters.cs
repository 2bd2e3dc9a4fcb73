using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using TraceDistill.Text.Tokenizers.Patterns;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.PreTokenizers;

/// <summary>One step of a pre-tokenizer: cuts a piece into smaller ones, in order.</summary>
interface ISplitter
{
    /// <summary>The rule as the file has it.</summary>
    SplitRule Rule { get; }

    void Split(ReadOnlySpan<char> text, Piece piece, List<Piece> pieces);

    /// <summary>Its pattern, where that may name characters above U+FFFF; null where it is of fixed form.</summary>
    OnigurumaPattern? Pattern => null;

    /// <summary>The same for text in which units stand for such characters.</summary>
    /// <param name="standIns">The units that stand for one of its pattern's sets.</param>
    ISplitter On(Func<int, string> standIns) => this;
}

/// <summary>Treatment of a match, and of what lies between matches; the names are those of tokenizer.json.</summary>
public enum SplitBehavior
{
    /// <summary>Each is a piece.</summary>
    Isolated,

    /// <summary>Matches are dropped.</summary>
    Removed,

    /// <summary>A match ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>A match begins the piece after it.</summary>
    MergedWithNext,

    /// <summary>Matches side by side are one piece.</summary>
    Contiguous,
}

/// <summary>A step that cuts at the matches of a regular expression, as tokenizer.json has it.</summary>
/// <param name="Pattern">Regular expression to look for.</param>
/// <param name="Behavior">Treatment of what it finds.</param>
/// <param name="IsInverted">True where what lies between the matches is what is looked for.</param>
public sealed record SplitRule(string Pattern, SplitBehavior Behavior, bool IsInverted);

/// <summary>Cuts at the matches of a regular expression.</summary>
sealed class RegexSplitter : ISplitter
{
    /// <summary>Compiling a pattern takes a tenth of a second, and many models share a few.</summary>
    static readonly ConcurrentDictionary<string, Regex> Compiled = [];

    readonly Regex _regex;

    /// <param name="pattern">Regular expression to look for.</param>
    /// <param name="behavior">Treatment of what it finds.</param>
    /// <param name="isInverted">True where what lies between the matches is what is looked for.</param>
    /// <exception cref="ArgumentException">The pattern is malformed, or .NET reads it otherwise than Hugging Face's engine.</exception>
    public RegexSplitter(string pattern, SplitBehavior behavior = SplitBehavior.Isolated, bool isInverted = false)
        : this(new SplitRule(pattern, behavior, isInverted), OnigurumaPattern.Parse(pattern), _ => "") { }

    RegexSplitter(SplitRule rule, OnigurumaPattern pattern, Func<int, string> standIns)
    {
        (Rule, Pattern) = (rule, pattern);
        _regex = Compiled.GetOrAdd(pattern.ToDotNet(standIns), static text => FilePattern.Compile(text));
    }

    public SplitRule Rule { get; }

    public OnigurumaPattern Pattern { get; }

    /// <summary>The file and field that the pattern stands in.</summary>
    public string Origin { get; init; } = "pre_tokenizer";

    public ISplitter On(Func<int, string> standIns) =>
        Pattern.Sets.Count == 0 ? this : new RegexSplitter(Rule, Pattern, standIns) { Origin = Origin };

    public void Split(ReadOnlySpan<char> text, Piece piece, List<Piece> pieces)
    {
        try
        {
            SplitInTime(text, piece, pieces);
        }
        catch (RegexMatchTimeoutException slow)
        {
            throw FilePattern.TooSlow(Origin, Rule.Pattern, piece.Length, slow);
        }
    }

    void SplitInTime(ReadOnlySpan<char> text, Piece piece, List<Piece> pieces)
    {
        var watch = FilePattern.WatchFor(piece.Length);
        var joiner = new Joiner(Rule.Behavior, pieces);
        var end = 0;
        foreach (var match in _regex.EnumerateMatches(text.Slice(piece.Start, piece.Length)))
        {
            joiner.Add(new Piece(piece.Start + end, match.Index - end), Rule.IsInverted);
            joiner.Add(new Piece(piece.Start + match.Index, match.Length), !Rule.IsInverted);
            end = match.Index + match.Length;
            watch.Look();
        }

        joiner.Add(new Piece(piece.Start + end, piece.Length - end), Rule.IsInverted);
    }

    /// <summary>Puts matches and gaps together, in their order.</summary>
    ref struct Joiner(SplitBehavior behavior, List<Piece> pieces)
    {
        readonly int _first = pieces.Count;
        bool _lastMatches;

        public void Add(Piece part, bool isMatch)
        {
            if (part.Length == 0)
            {
                return;
            }
            var joins = behavior switch
            {
                SplitBehavior.MergedWithPrevious => isMatch && !_lastMatches,
                SplitBehavior.MergedWithNext => !isMatch && _lastMatches,
                SplitBehavior.Contiguous => isMatch == _lastMatches,
                _ => false,
            };
            _lastMatches = isMatch;
            if (behavior == SplitBehavior.Removed && isMatch)
            {
                return;
            }
            if (joins && pieces.Count > _first)
            {
                pieces[^1] = pieces[^1] with { Length = pieces[^1].Length + part.Length };
            }
            else
            {
                pieces.Add(part);
            }
        }
    }
}
