namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Cuts a template into tokens, with Jinja's <c>trim_blocks</c> and <c>lstrip_blocks</c> on as chat templates expect.</summary>
sealed class JinjaLexer
{
    readonly JinjaSource _source;
    readonly string _text;
    readonly List<JinjaToken> _tokens = [];
    int _offset;

    /// <summary>True where what comes next is at the start of a line.</summary>
    bool _lineStart = true;

    JinjaLexer(JinjaSource source)
    {
        _source = source;
        _text = source.Text;
    }

    public static List<JinjaToken> Read(JinjaSource source)
    {
        var lexer = new JinjaLexer(source);
        lexer.ReadTemplate();
        return lexer._tokens;
    }

    void ReadTemplate()
    {
        while (FindTag() is var tag and >= 0)
        {
            ReadText(tag);
            switch (_text[tag + 1])
            {
                case '#':
                    SkipComment();
                    break;
                case '%':
                    ReadTag("%}", JinjaTokenKind.StatementStart, JinjaTokenKind.StatementEnd);
                    break;
                default:
                    ReadTag("}}", JinjaTokenKind.ExpressionStart, JinjaTokenKind.ExpressionEnd);
                    break;
            }
        }

        AddText(_text[_offset..]);
        _tokens.Add(new JinjaToken(JinjaTokenKind.End, "", _text.Length));
    }

    int FindTag()
    {
        var from = _offset;
        while (_text.IndexOf('{', from) is var brace and >= 0 && brace + 1 < _text.Length)
        {
            if (_text[brace + 1] is '{' or '%' or '#')
            {
                return brace;
            }
            from = brace + 1;
        }

        return -1;
    }

    /// <summary>Takes the text up to a tag, less the white space that the tag removes on its left.</summary>
    void ReadText(int tag)
    {
        var text = _text[_offset..tag];
        var sign = tag + 2 < _text.Length ? _text[tag + 2] : ' ';
        if (sign == '-')
        {
            text = PythonText.TrimEnd(text);
        }
        else if (sign != '+' && _text[tag + 1] != '{')
        {
            text = WithoutIndentation(text);
        }
        AddText(text);
        _offset = tag;
    }

    /// <summary>lstrip_blocks: a statement or comment that is first on its line takes its indentation away.</summary>
    string WithoutIndentation(string text)
    {
        var line = text.LastIndexOf('\n') + 1;
        return (line > 0 || _lineStart) && PythonText.TrimEnd(text[line..]).Length == 0 ? text[..line] : text;
    }

    void AddText(string text)
    {
        if (text.Length > 0)
        {
            _tokens.Add(new JinjaToken(JinjaTokenKind.Text, text, _offset));
        }
    }

    void SkipComment()
    {
        var end = _text.IndexOf("#}", _offset + 2, StringComparison.Ordinal);
        if (end < 0)
        {
            throw _source.Error(_offset, "the comment is not closed with '#}'");
        }
        CloseTag(end, "#}", _text[end - 1]);
    }

    void ReadTag(string close, JinjaTokenKind start, JinjaTokenKind end)
    {
        var opened = _offset;
        _tokens.Add(new JinjaToken(start, "", opened));
        _offset += 2;
        if (_offset < _text.Length && _text[_offset] is '-' or '+')
        {
            _offset++;
        }
        var expression = new JinjaTagLexer(_source, _tokens);
        _offset = expression.Read(_offset, close, opened);
        var sign = _text[_offset];
        if (sign is '-' or '+')
        {
            _offset++;
        }
        _tokens.Add(new JinjaToken(end, "", _offset));
        CloseTag(_offset, close, sign);
    }

    /// <summary>Moves past the end of a tag and the white space that it removes on its right.</summary>
    void CloseTag(int end, string close, char sign)
    {
        _offset = end + 2;
        if (sign == '-')
        {
            while (_offset < _text.Length && PythonText.IsSpace(_text[_offset]))
            {
                _offset++;
            }
        }
        else if (sign != '+' && close != "}}" && _offset < _text.Length && _text[_offset] == '\n')
        {
            _offset++;
        }

        _lineStart = _text[_offset - 1] == '\n';
    }
}
