using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using TraceDistill.Core.Verification.Algebra;

namespace TraceDistill.Core.Verification.Notation;

/// <summary>How a comma between digits is read.</summary>
enum CommaReading
{
    /// <summary>As a thousands separator where the digits are in groups of three and no bracket is open.</summary>
    Thousands,

    /// <summary>As a separator of list items.</summary>
    List,

    /// <summary>As the decimal point.</summary>
    Decimal,
}

/// <summary>Parts an answer in LaTeX or plain text into tokens. Dress is dropped: spacing, sizes of brackets, fonts, dollar signs of mathematics.</summary>
sealed class Lexer
{
    /// <summary>Stands for a comma within a number: it parts thousands where three digits follow each time, else it is the decimal point.</summary>
    const char Thousands = '\uE000';

    static readonly FrozenDictionary<string, string> Symbols = new Dictionary<string, string>
    {
        ["cdot"] = "*", ["times"] = "*", ["ast"] = "*", ["div"] = "/", ["pm"] = "±", ["mp"] = "∓", ["le"] = "<=", ["leq"] = "<=", ["leqslant"] = "<=",
        ["ge"] = ">=", ["geq"] = ">=", ["geqslant"] = ">=", ["lt"] = "<", ["gt"] = ">", ["ne"] = "!=", ["neq"] = "!=", ["in"] = "∈", ["cup"] = "∪",
        ["cap"] = "∩", ["setminus"] = "∖", ["backslash"] = "∖", ["approx"] = "≈", ["simeq"] = "≈", ["equiv"] = "≡", ["{"] = "\\{", ["}"] = "\\}",
        ["lbrace"] = "\\{", ["rbrace"] = "\\}", ["lvert"] = "|", ["rvert"] = "|", ["vert"] = "|", ["mid"] = "mid", ["|"] = "‖", ["lVert"] = "‖",
        ["rVert"] = "‖", ["langle"] = "⟨", ["rangle"] = "⟩", ["lfloor"] = "⌊", ["rfloor"] = "⌋", ["lceil"] = "⌈", ["rceil"] = "⌉", ["circ"] = "°",
        ["degree"] = "°", ["%"] = "%", ["\\"] = "\\\\", ["&"] = "&", ["colon"] = ":", ["prime"] = "'", ["lbrack"] = "[", ["rbrack"] = "]",
        ["land"] = "and", ["wedge"] = "and", ["lor"] = "or", ["vee"] = "or", ["ldots"] = "…", ["dots"] = "…", ["cdots"] = "…",
    }.ToFrozenDictionary();

    static readonly FrozenSet<string> Dropped = new[]
    {
        "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "middle",
        "displaystyle", "textstyle", "scriptstyle", "limits", "!", "mathstrut", "strut", "hfill", "bf", "rm", "it", "boldsymbol", "bm", "allowbreak",
    }.ToFrozenSet();

    static readonly FrozenSet<string> Spaces = new[] { ",", ";", ":", " ", "quad", "qquad", ">", "enspace", "thinspace", "\n", "newline" }.ToFrozenSet();

    static readonly FrozenSet<string> Fonts = new[] { "mathrm", "mathbf", "mathit", "mathsf", "mathcal", "mathbb", "operatorname", "operatorname*", "mathscr", "mathfrak" }.ToFrozenSet();

    static readonly FrozenSet<string> Texts = new[] { "text", "textbf", "textit", "textrm", "textsf", "texttt", "mbox", "textnormal", "emph", "hbox", "underline" }.ToFrozenSet();

    static readonly FrozenSet<string> Functions = new[]
    {
        "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log", "exp", "sqrt", "abs", "min", "max",
        "floor", "ceil", "lg", "asin", "acos", "atan", "gcd", "lcm", "det", "cbrt",
    }.ToFrozenSet();

    static readonly FrozenSet<string> Names = new[]
    {
        "pi", "infinity", "infty", "inf", "oo", "alpha", "beta", "gamma", "delta", "theta", "lambda", "sigma", "omega", "epsilon", "phi", "psi", "rho", "tau",
    }.ToFrozenSet();

    static readonly FrozenDictionary<char, string> Characters = new Dictionary<char, string>
    {
        ['−'] = "-", ['–'] = "-", ['—'] = "-", ['‐'] = "-", ['‑'] = "-", ['×'] = "\\times ", ['·'] = "\\cdot ", ['⋅'] = "\\cdot ", ['∙'] = "\\cdot ", ['÷'] = "\\div ", ['√'] = "\\sqrt ",
        ['π'] = "\\pi ", ['∞'] = "\\infty ", ['≤'] = "\\le ", ['≥'] = "\\ge ", ['⩽'] = "\\le ", ['⩾'] = "\\ge ", ['≠'] = "\\ne ", ['≈'] = "\\approx ", ['±'] = "\\pm ", ['∓'] = "\\mp ", ['∪'] = "\\cup ",
        ['∩'] = "\\cap ", ['∈'] = "\\in ", ['°'] = "\\circ ", ['º'] = "\\circ ", ['∅'] = "\\emptyset ", ['²'] = "^{2}", ['³'] = "^{3}", ['¹'] = "^{1}", ['⁴'] = "^{4}", ['⁵'] = "^{5}",
        ['⁶'] = "^{6}", ['⁷'] = "^{7}", ['⁸'] = "^{8}", ['⁹'] = "^{9}", ['⁰'] = "^{0}", ['⁻'] = "^{-1}", ['½'] = "\\frac{1}{2}", ['⅓'] = "\\frac{1}{3}", ['⅔'] = "\\frac{2}{3}", ['¼'] = "\\frac{1}{4}", ['¾'] = "\\frac{3}{4}",
        ['、'] = ",", ['⟨'] = "\\langle ", ['⟩'] = "\\rangle ", ['∠'] = "\\angle ", ['△'] = "\\triangle ", ['ℝ'] = "\\mathbb{R}", ['\u00A0'] = "~", ['\u202F'] = "~", ['\u2009'] = "~",
        ['’'] = "'", ['′'] = "'", ['“'] = "", ['”'] = "", ['"'] = "", ['`'] = "", ['。'] = ".", ['⌊'] = "\\lfloor ", ['⌋'] = "\\rfloor ", ['⌈'] = "\\lceil ", ['⌉'] = "\\rceil ", ['∣'] = "|",
        ['€'] = "\\text{euro}", ['£'] = "\\text{pound sterling}", ['¥'] = "\\text{yen}", ['₂'] = "_{2}", ['₁'] = "_{1}", ['₃'] = "_{3}", ['₈'] = "_{8}", ['\u2061'] = "", ['\u200B'] = "", ['\uFEFF'] = "",
    }.ToFrozenDictionary();

    // The numbers of atoms in \ce{H2SO4}.
    static readonly Regex ChemicalDigits = new(@"(?<=[A-Za-z)])\d+", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

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
        var lexer = new Lexer(Plain(text), commas);
        lexer.Run();
        return lexer._tokens;
    }

    /// <summary>The text with one spelling for each character: ASCII where there is one, LaTeX for signs of mathematics, digits of every script.</summary>
    static string Plain(string text)
    {
        var plain = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            if (Characters.TryGetValue(character, out var spelling))
            {
                plain.Append(spelling);
            }
            else if (character is >= '！' and <= '～')
            {
                plain.Append((char)(character - '！' + '!'));
            }
            else
            {
                plain.Append(CharUnicodeInfo.GetDecimalDigitValue(character) is >= 0 and var digit ? (char)('0' + digit) : character);
            }
        }

        return plain.Replace("^{-1}^{1}", "^{-1}").Replace("^{-1}^{2}", "^{-2}").Replace("^{-1}^{3}", "^{-3}").Replace("{,}", $"{Thousands}").Replace(",\\!", $"{Thousands}")
            .Replace("**", "^").ToString();
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

        var isPoint = _at < _text.Length && (_text[_at] == '.'
            || _text[_at] == ',' && _commas == CommaReading.Decimal && IsDigit(_at + 1) || _text[_at] == Thousands && IsDigit(_at + 1));
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
        return rest.StartsWith([Thousands]) || _commas == CommaReading.Thousands && _brackets == 0 && rest.StartsWith(",") ? 1 : rest.StartsWith("\\,") ? 2 : 0;
    }

    void ReadWord()
    {
        var start = _at;
        while (_at < _text.Length && (char.IsLetter(_text[_at]) || char.IsSurrogate(_text[_at]) || char.GetUnicodeCategory(_text[_at]) == UnicodeCategory.NonSpacingMark))
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
        else if (Functions.Contains(word) || word.Length > 2 && Functions.Contains(word.ToLowerInvariant()))
        {
            Add(TokenKind.Function, word.ToLowerInvariant());
        }
        else if (Names.Contains(word.ToLowerInvariant()))
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
            "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma",
            "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
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
        if (Dropped.Contains(name))
        {
            if (name is "left" or "right" && _at < _text.Length && _text[_at] == '.')
            {
                _at++;
            }
        }
        else if (name is "(" or ")" or "[" or "]" or "")
        {
            _isSpaced = true;    // delimiters of mathematics
        }
        else if (Spaces.Contains(name))
        {
            _isSpaced = true;
        }
        else if (name == "$")
        {
            Add(TokenKind.Symbol, "$");
        }
        else if (Symbols.TryGetValue(name, out var symbol))
        {
            AddSymbol(symbol);
        }
        else if (name == "ce")
        {
            Inline(ChemicalDigits.Replace(Argument(), "_{$0}"), isUnit: false);
        }
        else if (Texts.Contains(name))
        {
            ReadText(Argument());
        }
        else if (Fonts.Contains(name))
        {
            ReadFont(name, Argument());
        }
        else if (name is "vec" or "hat" or "bar" or "tilde" or "overrightarrow" or "widehat" or "dot")
        {
            Add(TokenKind.Name, $"{name} {Argument()}");
        }
        else if (name is "frac" or "dfrac" or "tfrac" or "cfrac" or "binom" or "dbinom" or "tbinom" or "overline" or "pmod" or "bmod" or "mod" or "pod")
        {
            Add(TokenKind.Command, name.EndsWith("frac", StringComparison.Ordinal) ? "frac" : name.EndsWith("binom", StringComparison.Ordinal) ? "binom" : name);
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
        else if (Functions.Contains(name))
        {
            Add(TokenKind.Function, name);
        }
        else if (name is "mathit" or "phantom" or "label" or "tag" or "boxed" or "fbox")
        {
            throw new BeyondEngineException($"\\{name} inside an answer");
        }
        else
        {
            Add(TokenKind.Name, name switch
            {
                "infty" => SymbolExpression.Infinity, "varnothing" => "emptyset", "varepsilon" => "epsilon", "varphi" => "phi", "vartheta" => "theta", _ => name,
            });
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
        else if (Functions.Contains(trimmed))
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
        if (trimmed.ToLowerInvariant().Trim(',', ' ') is "and" or "or" or "y" or "o" or "e" or "und" or "oder" or "et" or "ou" or "和" or "或" && _tokens.Count > 0)
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
            depth += _text[_at] == '{' ? 1 : _text[_at] == '}' ? -1 : 0;
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
        _brackets = Math.Max(0, _brackets + (symbol is "(" or "[" or "\\{" or "⟨" ? 1 : symbol is ")" or "]" or "\\}" or "⟩" ? -1 : 0));
        Add(TokenKind.Symbol, symbol);
    }
}
