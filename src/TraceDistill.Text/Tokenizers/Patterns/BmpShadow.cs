using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.Patterns;

/// <summary>
/// A stand-in for text with surrogate pairs, in which every code point is one UTF-16 unit of the same general category. .NET's regular
/// expressions see a surrogate pair as two characters that are neither letters nor digits; on the shadow they classify as they should.
/// Can be used for one text after the other.
/// </summary>
sealed class BmpShadow
{
    readonly List<int> _offsets = [];
    readonly List<char> _chars = [];

    /// <summary>The shadow of a text, valid until the next call.</summary>
    public ReadOnlySpan<char> Of(ReadOnlySpan<char> text, StandIns standIns)
    {
        _offsets.Clear();
        _chars.Clear();
        var offset = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            // A lone surrogate enumerates as U+FFFD, one unit long, which is also how it is encoded as UTF-8.
            _chars.Add(standIns.Of(rune));
            _offsets.Add(offset);
            offset += rune.Utf16SequenceLength;
        }

        _offsets.Add(offset);
        return CollectionsMarshal.AsSpan(_chars);
    }

    /// <summary>The stretch of the original text that a stretch of the last shadow stands for.</summary>
    public Piece ToOriginal(Piece piece) => new(_offsets[piece.Start], _offsets[piece.Start + piece.Length] - _offsets[piece.Start]);
}

/// <summary>
/// The units that stand for characters above U+FFFF before some patterns: of the same general category, named by none of them, and another
/// one for each combination of their sets. A text's own units of those are represented by the plain stand-in of their category. Immutable.
/// </summary>
sealed class StandIns
{
    readonly (int Pattern, int Set, (int First, int Last)[] Ranges)[] _sets;
    readonly Dictionary<(ulong Sets, UnicodeCategory Category), char> _units = [];
    readonly HashSet<char> _reserved = [];

    /// <exception cref="ArgumentException">There are not enough units of a category.</exception>
    public StandIns(IReadOnlyList<OnigurumaPattern> patterns)
    {
        _sets = [.. patterns.Index().SelectMany(pattern => pattern.Item.Sets.Index().Select(set => (pattern.Index, set.Index, set.Item)))];
        if (_sets.Length > 64)
        {
            throw new ArgumentException("it names characters above U+FFFF in more than 64 places");
        }
        var free = new Dictionary<UnicodeCategory, Queue<char>>();
        for (var unit = (char)0x80; unit < char.MaxValue; unit++)
        {
            if (!char.IsSurrogate(unit) && !patterns.Any(pattern => pattern.Names(unit)) && !IsOfWords(unit))
            {
                (CollectionsMarshal.GetValueRefOrAddDefault(free, char.GetUnicodeCategory(unit), out _) ??= new Queue<char>()).Enqueue(
                    unit
                );
            }
        }

        foreach (var category in Enum.GetValues<UnicodeCategory>())
        {
            if (free.TryGetValue(category, out var units))
            {
                _units[(0, category)] = units.Dequeue();
            }
        }

        foreach (var (first, last) in _sets.SelectMany(set => set.Ranges))
        {
            for (var code = first; code <= last; code++)
            {
                var rune = new Rune(code);
                var key = (SetsOf(code), Rune.GetUnicodeCategory(rune));
                if (_units.ContainsKey(key))
                {
                    continue;
                }
                if (!free.TryGetValue(key.Item2, out var units) || !units.TryDequeue(out var unit))
                {
                    throw new ArgumentException($"it names more kinds of characters above U+FFFF ({key.Item2}) than are supported");
                }
                _units[key] = unit;
                _reserved.Add(unit);
            }
        }
    }

    /// <summary>The unit that stands for a character.</summary>
    public char Of(Rune rune) =>
        rune.IsBmp && !_reserved.Contains((char)rune.Value)
            ? (char)rune.Value
            : _units.GetValueOrDefault((rune.IsBmp ? 0 : SetsOf(rune.Value), Rune.GetUnicodeCategory(rune)), '\u0378');

    /// <summary>The units that stand for the characters of a pattern's set.</summary>
    public string Units(int pattern, int set)
    {
        var at = Array.FindIndex(_sets, candidate => candidate.Pattern == pattern && candidate.Set == set);
        return string.Concat(_units.Where(unit => (unit.Key.Sets >> at & 1) != 0).Select(unit => unit.Value).Order());
    }

    /// <summary>A bit for each set that has a character.</summary>
    ulong SetsOf(int code)
    {
        var sets = 0UL;
        for (var set = 0; set < _sets.Length; set++)
        {
            foreach (var (first, last) in _sets[set].Ranges)
            {
                if (first <= code && code <= last)
                {
                    sets |= 1UL << set;
                }
            }
        }

        return sets;
    }

    /// <summary>Ranges by which word splitters and hand-written classes know letters: no stand-ins from there.</summary>
    static bool IsOfWords(char unit) => unit is < '\u0250' or 'ſ' or '\u212A' or (>= '\u24B6' and <= '\u24E9') || char.IsWhiteSpace(unit);
}
