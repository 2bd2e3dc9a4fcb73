using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Tokenizers.Patterns;

/// <summary>
/// A regular expression as tokenizer.json has them, in Oniguruma's syntax, made ready for
/// .NET's engine, which sees UTF-16 units in place of characters.
/// </summary>
/// <remarks>
/// Characters above U+FFFF that it names, alone or in classes, are distinguished by sets: those of a class with one
/// another, since they stand for the same there. <see cref="BmpShadow"/> gives each set, by general category, a
/// unit of its own. What the two engines read differently is translated (<c>^</c> and <c>$</c> are those of
/// lines, <c>\w</c>, folded <c>s</c>) or refused: nested classes, intersections, <c>(?m)</c>, <c>{,n}</c>.
/// </remarks>
sealed class OnigurumaPattern
{
    const string WordCharacters = @"\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\u24B6-\u24E9";

    /// <summary>A unit that neither a shadow has nor a text without pairs, so that no class is empty.</summary>
    const string Nothing = @"\uD800";

    /// <summary>Pieces of the pattern; a set stands between each and the next.</summary>
    readonly List<string> _pieces = [];

    /// <summary>Characters of the plane that .NET sees which the pattern names.</summary>
    readonly bool[] _named = new bool[0x10000];

    readonly string _source;
    readonly StringBuilder _text = new();
    int _position;

    /// <summary>Up to here case is folded.</summary>
    int _foldsUntil;

    OnigurumaPattern(string source) => _source = source;

    /// <summary>Sets of characters above U+FFFF that it names, as ranges.</summary>
    public List<(int First, int Last)[]> Sets { get; } = [];

    /// <exception cref="ArgumentException">It uses what .NET reads otherwise.</exception>
    public static OnigurumaPattern Parse(string source)
    {
        var pattern = new OnigurumaPattern(source);
        pattern.Read();
        return pattern;
    }

    /// <summary>Returns whether it names a character below U+10000, so that this can stand for no other.</summary>
    public bool Names(char character) => _named[character];

    /// <summary>The pattern for .NET.</summary>
    /// <param name="standIns">The units that stand for a set, by its index; none where the text has no character above U+FFFF.</param>
    public string ToDotNet(Func<int, string> standIns)
    {
        var text = new StringBuilder(_pieces[0]);
        for (var set = 0; set < Sets.Count; set++)
        {
            foreach (var unit in standIns(set))
            {
                text.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:X4}");
            }
            text.Append(_pieces[set + 1]);
        }

        return text.ToString();
    }

    void Read()
    {
        // Hugging Face's engine folds case as Unicode does, where s also stands for ſ; .NET's does not. The only such letter
        // of the contractions that patterns list as (?i:'s|'t|…), the only form in which case is folded here beside sets.
        while (_position < _source.Length)
        {
            if (StartsWith("(?i)"))
            {
                _foldsUntil = _source.Length;
            }
            else if (StartsWith("(?i:"))
            {
                _foldsUntil = _source.IndexOf(')', _position);
            }
            else if (StartsWith("(?m") || StartsWith("(?-m") || StartsWith("{,"))
            {
                throw new ArgumentException($"\"{_source.Substring(_position, 2)}\" means something else in .NET");
            }
            switch (_source[_position])
            {
                case '[':
                    ReadClass();
                    break;
                case '\\':
                    ReadEscape();
                    break;
                case '^':
                    _position++;
                    _text.Append(@"(?:(?<=\A)|(?<=\n)(?!\z))");
                    break;
                case '$':
                    _position++;
                    _text.Append(@"(?=\n|\z)");
                    break;
                case 's' when _position < _foldsUntil:
                    _position++;
                    _text.Append("[sſ]");
                    break;
                default:
                    var code = Next();
                    if (code > char.MaxValue)
                    {
                        AddSet($"[{Nothing}", [(code, code)], "]");
                    }
                    else
                    {
                        AddLiteral((char)code);
                    }
                    break;
            }
        }

        _pieces.Add(_text.ToString());
    }

    bool StartsWith(string text) => _source.AsSpan(_position).StartsWith(text, StringComparison.Ordinal);

    void AddLiteral(char character)
    {
        _named[character] = true;
        _text.Append(character);
    }

    void ReadEscape()
    {
        if (StartsWith(@"\w") || StartsWith(@"\W"))
        {
            _text.Append(_source[_position + 1] == 'w' ? $"[{WordCharacters}]" : $"[^{WordCharacters}]");
        }
        else if (EscapedCode() is { } code)
        {
            if (code > char.MaxValue)
            {
                AddSet($"[{Nothing}", [(code, code)], "]");
            }
            else
            {
                _text.Append(CultureInfo.InvariantCulture, $"\\u{Name(code):X4}");
            }
            return;
        }
        else if (StartsWith(@"\p") || StartsWith(@"\P"))
        {
            CopyProperty();
            return;
        }
        else
        {
            var escaped = _position + 1 < _source.Length ? _source[_position + 1] : throw new ArgumentException("it ends in a backslash");
            if (escaped is 'h' or 'H' or 'R' or 'X' or 'K' or 'y' or 'Y' or 'O' or 'N' or 'g' or 'k' or 'Z')
            {
                throw new ArgumentException($"\"\\{escaped}\" is not known to .NET, or means something else there");
            }
            _named[escaped] |= !char.IsLetterOrDigit(escaped);
            _text.Append(_source, _position, 2);
        }

        _position += 2;
    }

    int Name(int code)
    {
        _named[code] = true;
        return code;
    }

    /// <summary>Copies <c>\p{…}</c>, of which .NET knows the general categories and blocks.</summary>
    void CopyProperty()
    {
        var end = _source.IndexOf('}', _position);
        if (_position + 2 >= _source.Length || _source[_position + 2] != '{' || end < 0)
        {
            throw new ArgumentException($"\"{_source.Substring(_position, 2)}\" without braces");
        }
        _text.Append(_source, _position, end + 1 - _position);
        _position = end + 1;
    }

    /// <summary>
    /// A character written by its code: <c>\uHHHH</c>, <c>\xHH</c>, <c>\x{H…}</c>; null, and nothing read, where none is.
    /// </summary>
    int? EscapedCode()
    {
        var (digits, length) =
            StartsWith(@"\x{") && _source.IndexOf('}', _position) is > 0 and var end ? (_source[(_position + 3)..end], end + 1 - _position)
            : StartsWith(@"\u") && _position + 6 <= _source.Length ? (_source.Substring(_position + 2, 4), 6)
            : StartsWith(@"\x") && _position + 4 <= _source.Length ? (_source.Substring(_position + 2, 2), 4)
            : ("", 0);
        if (length == 0)
        {
            return null;
        }
        if (!int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) || code is < 0 or > 0x10FFFF)
        {
            throw new ArgumentException($"\"{_source.Substring(_position, length)}\" is no character");
        }
        _position += length;
        return code;
    }

    int Next()
    {
        Rune.DecodeFromUtf16(_source.AsSpan(_position), out var rune, out var length);
        _position += length;
        return rune.Value;
    }

    /// <summary>Reads <c>[…]</c>: what it names above U+FFFF becomes one set.</summary>
    void ReadClass()
    {
        var isNegated = StartsWith("[^");
        _position += isNegated ? 2 : 1;
        var (items, ranges, isFirst) = (new StringBuilder(), new List<(int First, int Last)>(), true);
        for (; !StartsWith("]") || isFirst; isFirst = false)
        {
            if (_position >= _source.Length)
            {
                throw new ArgumentException("a class is not closed");
            }
            if (StartsWith("[") || StartsWith("&&"))
            {
                throw new ArgumentException("classes within classes, and their intersections");
            }
            if (ReadSetEscape(items))
            {
                continue;
            }
            var first = ReadMember();
            var last = first;
            if (
                StartsWith("-")
                && !StartsWith("-]")
                && !StartsWith(@"-\p")
                && !StartsWith(@"-\s")
                && !StartsWith(@"-\w")
                && !StartsWith(@"-\d")
            )
            {
                _position++;
                last = ReadMember();
            }

            if (last < first)
            {
                throw new ArgumentException("a range that ends before it begins");
            }
            for (var code = first; code <= Math.Min(last, char.MaxValue); code++)
            {
                _named[code] = true;
            }
            if (_position < _foldsUntil && ((first <= 's' && last >= 's') || (first <= 'S' && last >= 'S')))
            {
                items.Append('ſ');
            }
            if (first <= char.MaxValue)
            {
                items.Append(CultureInfo.InvariantCulture, $"\\u{first:X4}-\\u{Math.Min(last, char.MaxValue):X4}");
            }
            if (last > char.MaxValue)
            {
                ranges.Add((Math.Max(first, char.MaxValue + 1), last));
            }
        }

        _position++;
        if (ranges.Count == 0)
        {
            _text.Append(isNegated ? "[^" : "[").Append(items).Append(']');
        }
        else if (isNegated)
        {
            AddSet($"[^{Nothing}{items}", [.. ranges], "]");
        }
        else
        {
            AddSet($"[{Nothing}{items}", [.. ranges], "]");
        }
    }

    /// <summary>Copies an escape that stands for many characters.</summary>
    bool ReadSetEscape(StringBuilder items)
    {
        if (StartsWith(@"\p") || StartsWith(@"\P"))
        {
            var start = _text.Length;
            CopyProperty();
            items.Append(_text.ToString(start, _text.Length - start));
            _text.Length = start;
            return true;
        }

        if (!StartsWith(@"\s") && !StartsWith(@"\S") && !StartsWith(@"\d") && !StartsWith(@"\D") && !StartsWith(@"\w"))
        {
            return false;
        }
        items.Append(StartsWith(@"\w") ? WordCharacters : _source.Substring(_position, 2));
        _position += 2;
        return true;
    }

    /// <summary>One character of a class.</summary>
    int ReadMember()
    {
        if (_position >= _source.Length)
        {
            throw new ArgumentException("a class is not closed");
        }
        if (_source[_position] != '\\')
        {
            return Next();
        }
        if (EscapedCode() is { } code)
        {
            return code;
        }
        _position++;
        if (_position >= _source.Length)
        {
            throw new ArgumentException("it ends in a backslash");
        }
        var escaped = Next();
        return escaped switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\f',
            'v' => '\v',
            'a' => '\a',
            'e' => 0x1B,
            'b' => '\b',
            _ when escaped < 128 && char.IsAsciiLetterOrDigit((char)escaped) => throw new ArgumentException(
                $"\"\\{(char)escaped}\" in a class"
            ),
            _ => escaped,
        };
    }

    void AddSet(string before, (int First, int Last)[] ranges, string after)
    {
        _pieces.Add(_text.Append(before).ToString());
        _text.Clear().Append(after);
        Sets.Add(ranges);
    }
}
