using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Cuts the inside of a tag into names, numbers, strings and operators.</summary>
sealed partial class JinjaTagLexer(JinjaSource source, List<JinjaToken> tokens)
{
    static readonly string[] Operators =
    [
        "//",
        "==",
        "!=",
        "<=",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<",
        ">",
        "=",
        ".",
        ",",
        ":",
        "|",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "~",
    ];

    readonly string _text = source.Text;
    readonly Stack<string> _open = new();
    int _offset;

    /// <summary>Reads up to the closing mark.</summary>
    /// <returns>The offset of the mark, or of the white-space sign before it.</returns>
    public int Read(int offset, string close, int opened)
    {
        _offset = offset;
        while (true)
        {
            while (_offset < _text.Length && PythonText.IsSpace(_text[_offset]))
            {
                _offset++;
            }
            if (_offset == _text.Length)
            {
                throw source.Error(opened, $"the tag is not closed with '{close}'");
            }
            if (_open.Count == 0 && (At(close) || (_text[_offset] is '-' or '+' && At(close, 1))))
            {
                return _offset;
            }
            ReadToken();
        }
    }

    bool At(string expected, int ahead = 0) => string.CompareOrdinal(_text, _offset + ahead, expected, 0, expected.Length) == 0;

    void ReadToken()
    {
        var start = _offset;
        var first = _text[start];
        if (char.IsLetter(first) || first == '_')
        {
            Add(JinjaTokenKind.Name, start, Span(character => char.IsLetterOrDigit(character) || character == '_'));
        }
        else if (char.IsAsciiDigit(first))
        {
            ReadNumber();
        }
        else if (first is '\'' or '"')
        {
            ReadString();
        }
        else
        {
            ReadOperator();
        }
    }

    string Span(Func<char, bool> belongs)
    {
        var start = _offset;
        while (_offset < _text.Length && belongs(_text[_offset]))
        {
            _offset++;
        }
        return _text[start.._offset];
    }

    void Add(JinjaTokenKind kind, int start, string text) => tokens.Add(new JinjaToken(kind, text, start));

    void ReadNumber()
    {
        var start = _offset;
        var integer = Span(character => char.IsAsciiDigit(character) || character == '_');
        var number = Number.Match(_text, start);
        if (number.Success)
        {
            _offset = start + number.Length;
        }
        Add(
            number.Success ? JinjaTokenKind.Float : JinjaTokenKind.Integer,
            start,
            (number.Success ? number.Value : integer).Replace("_", "")
        );
    }

    /// <summary>A float: digits with a fraction, an exponent or both.</summary>
    [GeneratedRegex(
        @"\G[0-9][0-9_]*(\.[0-9][0-9_]*([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)",
        RegexOptions.None,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex Number { get; }

    void ReadOperator()
    {
        var op = Operators.FirstOrDefault(candidate => At(candidate))
            ?? throw source.Error(_offset, $"unexpected character '{_text[_offset]}'");
        switch (op)
        {
            case "(" or "[" or "{":
                _open.Push(
                    op == "(" ? ")"
                    : op == "[" ? "]"
                    : "}"
                );
                break;
            case ")" or "]" or "}" when !_open.TryPop(out var expected) || expected != op:
                throw source.Error(_offset, $"'{op}' closes nothing that is open");
        }

        Add(JinjaTokenKind.Operator, _offset, op);
        _offset += op.Length;
    }

    void ReadString()
    {
        var start = _offset;
        var quote = _text[_offset++];
        var value = new StringBuilder();
        while (_offset < _text.Length && _text[_offset] != quote)
        {
            if (_text[_offset] == '\\' && _offset + 1 < _text.Length)
            {
                ReadEscape(value);
            }
            else
            {
                value.Append(_text[_offset++]);
            }
        }

        if (_offset == _text.Length)
        {
            throw source.Error(start, "the string is not closed");
        }
        _offset++;
        Add(JinjaTokenKind.String, start, value.ToString());
    }

    /// <summary>Python's escapes; an unknown one stands for itself, backslash included.</summary>
    void ReadEscape(StringBuilder value)
    {
        var start = _offset++;
        var escape = _text[_offset++];
        switch (escape)
        {
            case '\n':
                break;
            case '\\' or '\'' or '"':
                value.Append(escape);
                break;
            case >= '0' and <= '7':
                _offset--;
                value.Append((char)Convert.ToInt32(Digits(3, "01234567"), 8));
                break;
            case 'x' or 'u' or 'U':
                var length =
                    escape == 'x' ? 2
                    : escape == 'u' ? 4
                    : 8;
                var digits = Digits(length, "0123456789abcdefABCDEF");
                if (
                    digits.Length != length
                    || !int.TryParse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var code)
                    || code is < 0 or > 0x10FFFF
                )
                {
                    throw source.Error(start, $"\\{escape} needs {length} hexadecimal digits of a character");
                }
                value.Append(code is >= 0xD800 and <= 0xDFFF or < 0x10000 ? ((char)code).ToString() : char.ConvertFromUtf32(code));
                break;
            default:
                var known = "abfnrtv".IndexOf(escape);
                value.Append(known < 0 ? $"\\{escape}" : "\a\b\f\n\r\t\v"[known].ToString());
                break;
        }
    }

    string Digits(int most, string allowed)
    {
        var start = _offset;
        while (_offset < _text.Length && _offset - start < most && allowed.Contains(_text[_offset]))
        {
            _offset++;
        }
        return _text[start.._offset];
    }
}
