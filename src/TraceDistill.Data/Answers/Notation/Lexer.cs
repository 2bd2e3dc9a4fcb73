using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>Reading of a comma between digits.</summary>
enum CommaReading
{
    /// <summary>As a thousands separator where the digits are in groups of three and no bracket is open.</summary>
    Thousands,

    /// <summary>As a separator of list items.</summary>
    List,

    /// <summary>As the decimal point.</summary>
    Decimal,
}

/// <summary>
/// Parts an answer in LaTeX or plain text into tokens. Dress is dropped: spacing, sizes of brackets, fonts, dollar signs of mathematics.
/// </summary>
sealed class Lexer
{
    // The numbers of atoms in \ce{H2SO4}.
    static readonly Regex ChemicalDigits = new(@"(?<=[A-Za-z)])\d+", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

    // 1.250,00 and 1.250.000: points part thousands where a decimal comma follows, or another point.
    static readonly Regex Continental = new(
        @"\G[1-9]\d{0,2}(?:(?:\.\d{3})+,\d{1,2}|(?:\.\d{3}){2,}(?![.,]\d))",
        RegexOptions.CultureInvariant,
        TimeSpan.FromSeconds(1)
    );

    // \\[4pt]: room below a row.
    static readonly Regex RowSpace = new(
        @"\G\*?(?:\s*\[\s*-?[\d.]+\s*(?:pt|pc|em|ex|mm|cm|in|mu)\s*\])?",
        RegexOptions.CultureInvariant,
        TimeSpan.FromSeconds(1)
    );

    readonly string _text;
    readonly CommaReading _commas;
    readonly List<Token> _tokens = [];
    int _at;
    int _brackets;
    bool _isSpaced;

    Lexer(string text, CommaReading commas)
    {
        _text = text;
        _commas = commas;
    }

    /// <exception cref="BeyondEngineException">A command is not known, or a brace is not closed.</exception>
    public static IReadOnlyList<Token> Read(string text, CommaReading commas)
    {
        var lexer = new Lexer(PlainCharacters.Of(text), commas);
        lexer.Run();
        return lexer._tokens;
    }

    void Run()
    {
        while (_at < _text.Length)
        {
            var character = _text[_at];
            if (char.IsWhiteSpace(character) || character == '~')
            {
                _at++;
                _isSpaced = true;
            }
            else if (char.IsAsciiDigit(character) || character == '.' && IsDigit(_at + 1))
            {
                ReadNumber();
            }
            else if (char.IsLetter(character) || char.IsSurrogate(character))
            {
                ReadWord();
            }
            else if (character == '\\')
            {
                ReadCommand();
            }
            else
            {
                ReadSymbol(character);
            }
        }
    }

    void Add(TokenKind kind, string text)
    {
        _tokens.Add(new Token(kind, text, _isSpaced));
        _isSpaced = false;
    }

    bool IsDigit(int index) => index < _text.Length && char.IsAsciiDigit(_text[index]);

    int SkipDigits(int index)
    {
        while (IsDigit(index))
        {
            index++;
        }

        return index;
    }

    void ReadNumber()
    {
        if (
            Continental.Match(_text, _at) is { Success: true } number
            && !IsDigit(_at + number.Length)
            && (_commas != CommaReading.List || !number.Value.Contains(',', StringComparison.Ordinal))
        )
        {
            Add(TokenKind.Number, number.Value.Replace(".", "", StringComparison.Ordinal).Replace(',', '.'));
            _at += number.Length;
            return;
        }

        var start = _at;
        _at = SkipDigits(_at);
        var digits = new StringBuilder(_text, start, _at - start, 64);
        if (_at - start is >= 1 and <= 3 && _text[start] != '0')
        {
            while (Separator() is > 0 and var length && SkipDigits(_at + length) == _at + length + 3)
            {
                digits.Append(_text, _at + length, 3);
                _at += length + 3;
            }
        }

        var isPoint =
            _at < _text.Length
            && (
                _text[_at] == '.'
                || _text[_at] == ',' && _commas == CommaReading.Decimal && IsDigit(_at + 1)
                || _text[_at] == PlainCharacters.Thousands && IsDigit(_at + 1)
            );
        if (isPoint && (IsDigit(_at + 1) || _at + 1 == _text.Length || !char.IsLetter(_text[_at + 1])))
        {
            var end = SkipDigits(_at + 1);
            digits.Append('.').Append(_text, _at + 1, end - _at - 1);
            _at = end;
        }

        if (_at < _text.Length && _text[_at] is 'e' or 'E')
        {
            var exponent = _at + 1 < _text.Length && _text[_at + 1] is '-' or '+' ? _at + 2 : _at + 1;
            if (IsDigit(exponent))
            {
                var end = SkipDigits(exponent);
                digits.Append('e').Append(_text, _at + 1, end - _at - 1);
                _at = end;
            }
        }

        Add(TokenKind.Number, digits.ToString());
    }

    /// <summary>Length of the thousands separator that stands here; 0 for none.</summary>
    int Separator()
    {
        var rest = _text.AsSpan(_at);
        return rest.StartsWith([PlainCharacters.Thousands]) || _commas == CommaReading.Thousands && _brackets == 0 && rest.StartsWith(",")
                ? 1
            : rest.StartsWith("\\,") ? 2
            : 0;
    }

    void ReadWord()
    {
        var start = _at;
        while (
            _at < _text.Length
            && (
                char.IsLetter(_text[_at])
                || char.IsSurrogate(_text[_at])
                || char.GetUnicodeCategory(_text[_at]) == UnicodeCategory.NonSpacingMark
            )
        )
        {
            _at++;
        }

        AddWord(_text[start.._at]);
    }

    void AddWord(string word)
    {
        if (word.Length == 1 && word[0] is >= 'Α' and <= 'ω')
        {
            Add(TokenKind.Name, GreekName(word[0]));
        }
        else if (LatexNames.Functions.Contains(word) || word.Length > 2 && LatexNames.Functions.Contains(word.ToLowerInvariant()))
        {
            Add(TokenKind.Function, word.ToLowerInvariant());
        }
        else if (LatexNames.Names.Contains(word.ToLowerInvariant()))
        {
            var name = word == "Pi" ? "pi" : word;
            Add(TokenKind.Name, name.ToLowerInvariant() is "infty" or "inf" or "oo" or "infinity" ? SymbolExpression.Infinity : name);
        }
        else if (word is "and" or "or" or "und" or "oder" or "et" or "ou" or "和" or "或" or "и" or "или")
        {
            Add(TokenKind.Symbol, word is "and" or "und" or "et" or "和" or "и" ? "and" : "or");
        }
        else
        {
            Add(TokenKind.Word, word);
        }
    }

    static string GreekName(char letter)
    {
        string[] names =
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "omicron",
            "pi",
            "rho",
            "sigma",
            "sigma",
            "tau",
            "upsilon",
            "phi",
            "chi",
            "psi",
            "omega",
        ];
        var isUpper = letter < 'α';
        var name = names[Math.Min(letter - (isUpper ? 'Α' : 'α'), names.Length - 1)];
        return isUpper ? $"{char.ToUpperInvariant(name[0])}{name[1..]}" : name;
    }

    void ReadCommand()
    {
        var start = ++_at;
        while (_at < _text.Length && char.IsAsciiLetter(_text[_at]))
        {
            _at++;
        }

        if (_at == start)
        {
            _at = Math.Min(_at + 1, _text.Length);
        }

        var name = _text[start.._at];
        if (LatexNames.Dropped.Contains(name))
        {
            if (name is "left" or "right" && _at < _text.Length && _text[_at] == '.')
            {
                _at++;
            }
        }
        else if (name is "(" or ")" or "[" or "]" or "")
        {
            _isSpaced = true; // delimiters of mathematics
        }
        else if (LatexNames.Spaces.Contains(name))
        {
            _isSpaced = true;
        }
        else if (name == "$")
        {
            Add(TokenKind.Symbol, "$");
        }
        else if (LatexNames.Symbols.TryGetValue(name, out var symbol))
        {
            _at += name == "\\" ? RowSpace.Match(_text, _at).Length : 0;
            AddSymbol(symbol);
        }
        else if (name == "ce")
        {
            Inline(ChemicalDigits.Replace(Argument(), "_{$0}"), isUnit: false);
        }
        else if (LatexNames.Texts.Contains(name))
        {
            ReadText(Argument());
        }
        else if (LatexNames.Fonts.Contains(name))
        {
            ReadFont(name, Argument());
        }
        else if (name is "vec" or "hat" or "bar" or "tilde" or "overrightarrow" or "widehat" or "dot")
        {
            Add(TokenKind.Name, $"{name} {Argument()}");
        }
        else if (LatexNames.WithArguments.Contains(name))
        {
            Add(
                TokenKind.Command,
                name.EndsWith("frac", StringComparison.Ordinal) ? "frac"
                    : name.EndsWith("binom", StringComparison.Ordinal) ? "binom"
                    : name
            );
        }
        else if (name is "begin" or "end")
        {
            var environment = Argument();
            Add(TokenKind.Command, $"{name} {environment}");
            if (name == "begin" && environment is "array" && _at < _text.Length && _text[_at] == '{')
            {
                Argument();
            }
        }
        else if (LatexNames.Functions.Contains(name))
        {
            Add(TokenKind.Function, name);
        }
        else if (name is "mathit" or "phantom" or "label" or "tag" or "boxed" or "fbox")
        {
            throw new BeyondEngineException($"\\{name} inside an answer");
        }
        else
        {
            Add(
                TokenKind.Name,
                name switch
                {
                    "infty" => SymbolExpression.Infinity,
                    "varnothing" => "emptyset",
                    "varepsilon" => "epsilon",
                    "varphi" => "phi",
                    "vartheta" => "theta",
                    _ => name,
                }
            );
        }
    }

    void ReadFont(string font, string content)
    {
        var trimmed = content.Replace("~", " ").Trim();
        if (font == "mathbb")
        {
            Add(TokenKind.Name, $"mathbb {trimmed}");
        }
        else if (trimmed.Length == 1 || font != "mathrm" && !font.StartsWith("operatorname", StringComparison.Ordinal))
        {
            // A letter in upright type is itself behind no number (e, i), a unit behind one.
            var isUnit = font == "mathrm" && _tokens.Count > 0 && trimmed is not ("e" or "i" or "d");
            Inline(trimmed, isUnit);
        }
        else if (LatexNames.Functions.Contains(trimmed))
        {
            Add(TokenKind.Function, trimmed);
        }
        else
        {
            ReadText(content);
        }
    }

    void Inline(string content, bool isUnit)
    {
        if (isUnit)
        {
            Add(TokenKind.Text, content);
            return;
        }

        foreach (var token in Read(content, _commas))
        {
            _tokens.Add(token with { IsSpaced = token.IsSpaced || _isSpaced });
            _isSpaced = false;
        }
    }

    /// <summary>Words are one token; numbers and formulas that someone put into a text command are read as if it was not there.</summary>
    void ReadText(string content)
    {
        var trimmed = content.Replace("~", " ").Replace("\\ ", " ").Replace("$", "").Trim();
        if (
            trimmed.ToLowerInvariant().Trim(',', ' ')
                is "and"
                    or "or"
                    or "y"
                    or "o"
                    or "e"
                    or "und"
                    or "oder"
                    or "et"
                    or "ou"
                    or "和"
                    or "或"
            && _tokens.Count > 0
        )
        {
            var word = trimmed.ToLowerInvariant().Trim(',', ' ');
            Add(TokenKind.Symbol, word is "or" or "o" or "oder" or "ou" or "或" ? "or" : "and");
        }
        else if (trimmed.Length > 0 && trimmed.All(character => char.IsLetter(character) || character is ' ' or '.' or '/' or '-' or '\''))
        {
            Add(TokenKind.Text, trimmed);
        }
        else if (trimmed.Length > 0)
        {
            var isPhrase = trimmed.Split(' ').Count(word => word.Length > 2 && word.All(char.IsLetter)) > 2;
            if (isPhrase && _tokens.Count > 0)
            {
                throw new BeyondEngineException("a sentence beside a formula");
            }

            _isSpaced = true;
            Inline(trimmed, isUnit: false);
            _isSpaced = true;
        }
    }

    /// <summary>The argument of a command: what stands in braces, or one character.</summary>
    string Argument()
    {
        while (_at < _text.Length && _text[_at] == ' ')
        {
            _at++;
        }

        if (_at >= _text.Length)
        {
            throw new BeyondEngineException("a command without its argument");
        }

        if (_text[_at] != '{')
        {
            return _text[_at++].ToString();
        }

        var (start, depth) = (_at + 1, 0);
        for (; _at < _text.Length; _at++)
        {
            depth +=
                _text[_at] == '{' ? 1
                : _text[_at] == '}' ? -1
                : 0;
            if (depth == 0)
            {
                return _text[start.._at++];
            }

            _at += _text[_at] == '\\' ? 1 : 0;
        }

        throw new BeyondEngineException("a brace that is not closed");
    }

    void ReadSymbol(char character)
    {
        _at++;
        var next = _at < _text.Length ? _text[_at] : '\0';
        if (character == '$')
        {
            // One dollar sign before a number is money; two of them delimit mathematics.
            if (_text.IndexOf('$') == _text.LastIndexOf('$') && (char.IsAsciiDigit(next) || next == '.'))
            {
                Add(TokenKind.Symbol, "$");
            }

            return;
        }

        if (character is '<' or '>' or '!' && next == '=' || character == '=' && next is '=')
        {
            _at++;
            AddSymbol(character == '=' ? "=" : $"{character}=");
            return;
        }

        AddSymbol(character.ToString());
    }

    void AddSymbol(string symbol)
    {
        _brackets = Math.Max(
            0,
            _brackets
                + (
                    symbol is "(" or "[" or "\\{" or "⟨" ? 1
                    : symbol is ")" or "]" or "\\}" or "⟩" ? -1
                    : 0
                )
        );
        Add(TokenKind.Symbol, symbol);
    }
}
