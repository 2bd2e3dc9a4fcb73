using System.Globalization;
using System.Numerics;
using TraceDistill.Core.Verification.Algebra;

namespace TraceDistill.Core.Verification.Notation;

/// <summary>
/// Reads tokens as one expression: sums, products with or without a sign, powers, fractions, roots, functions, absolute values. A recursive-descent
/// parser with a limit on its depth.
/// </summary>
sealed class ExpressionParser
{
    static readonly Expression DegreeInRadians = (Expression)new SymbolExpression(SymbolExpression.Pi) / 180;

    readonly IReadOnlyList<Token> _tokens;
    int _at;
    int _depth;
    int _bars;

    ExpressionParser(IReadOnlyList<Token> tokens)
    {
        _tokens = tokens;
    }

    /// <summary>Whether a slash had a product without a sign behind it, as in <c>1/2x</c>, which people read in two ways.</summary>
    public bool IsAmbiguous { get; private set; }

    /// <exception cref="BeyondEngineException">The tokens are no expression.</exception>
    public static Expression Read(IReadOnlyList<Token> tokens, out bool isAmbiguous)
    {
        var parser = new ExpressionParser(tokens);
        var result = parser.Sum();
        if (parser._at < tokens.Count)
        {
            throw new BeyondEngineException($"'{tokens[parser._at].Text}' does not belong to an expression");
        }

        isAmbiguous = parser.IsAmbiguous;
        return result;
    }

    Token Current => _at < _tokens.Count ? _tokens[_at] : new Token(TokenKind.Symbol, "");

    bool IsAt(string symbol) => _at < _tokens.Count && Current.Is(symbol);

    bool Take(string symbol)
    {
        var isThere = IsAt(symbol);
        _at += isThere ? 1 : 0;
        return isThere;
    }

    void Expect(string symbol)
    {
        if (!Take(symbol))
        {
            throw new BeyondEngineException($"'{symbol}' is missing");
        }
    }

    Expression Sum()
    {
        if (++_depth > Limits.Depth)
        {
            throw new BeyondEngineException("nested too deeply");
        }

        var terms = new List<Expression>();
        do
        {
            var isNegative = false;
            while (IsAt("+") || IsAt("-"))
            {
                isNegative ^= IsAt("-");
                _at++;
            }

            var term = Product();
            terms.Add(isNegative ? -term : term);
        }
        while (IsAt("+") || IsAt("-"));
        _depth--;
        return terms.Count == 1 ? terms[0] : new SumExpression(terms);
    }

    Expression Product()
    {
        var factors = new List<Expression> { Factor() };
        var isBehindSlash = false;
        while (true)
        {
            if (Take("*"))
            {
                factors.Add(SignedFactor());
                isBehindSlash = false;
            }
            else if (Take("/"))
            {
                factors.Add(new PowerExpression(SignedFactor(), -1));
                isBehindSlash = true;
            }
            else if (Current.IsCommand("bmod"))
            {
                throw new BeyondEngineException("remainders");
            }
            else if (StartsFactor())
            {
                // Two numbers side by side are no product, except around brackets.
                if (Current.Kind == TokenKind.Number && _tokens[_at - 1].Kind == TokenKind.Number)
                {
                    throw new BeyondEngineException("two numbers side by side");
                }

                IsAmbiguous |= isBehindSlash && !IsAt("(");
                factors.Add(Factor());
            }
            else
            {
                return factors.Count == 1 ? factors[0] : new ProductExpression(factors);
            }
        }
    }

    Expression SignedFactor()
    {
        var isNegative = false;
        while (IsAt("-") || IsAt("+"))
        {
            isNegative ^= IsAt("-");
            _at++;
        }

        return isNegative ? -Factor() : Factor();
    }

    bool StartsFactor() => _at < _tokens.Count && Current.Kind switch
    {
        TokenKind.Number or TokenKind.Word or TokenKind.Name or TokenKind.Function => true,
        TokenKind.Text => Current.Text.Length == 1,
        TokenKind.Command => Current.Text is "frac" or "binom",
        _ => IsAt("(") || IsAt("[") || IsAt("{") || IsAt("⌊") || IsAt("⌈") || IsAt("|") && _bars == 0,
    };

    /// <summary>A primary with its powers, factorials, percent and degree signs.</summary>
    Expression Factor()
    {
        if (++_depth > Limits.Depth)
        {
            throw new BeyondEngineException("nested too deeply");
        }

        var result = Postfix(Primary());
        _depth--;
        return result;
    }

    Expression Postfix(Expression result)
    {
        for (var times = 0; ; times++)
        {
            if (times > 4)
            {
                throw new BeyondEngineException("a tower of signs");
            }

            if (Take("^"))
            {
                if (Take("°") || IsAt("{") && _at + 2 < _tokens.Count && _tokens[_at + 1].Is("°") && _tokens[_at + 2].Is("}"))
                {
                    _at += IsAt("{") ? 3 : 0;
                    result *= DegreeInRadians;
                }
                else
                {
                    result = new PowerExpression(result, Exponent());
                }
            }
            else if (Take("!"))
            {
                if (IsAt("!"))
                {
                    throw new BeyondEngineException("double factorials");
                }

                result = new FunctionExpression("factorial", [result]);
            }
            else if (Take("%"))
            {
                result /= 100;
            }
            else if (Take("°"))
            {
                result *= DegreeInRadians;
            }
            else
            {
                return result;
            }
        }
    }

    /// <summary>A braced sum, or one token as LaTeX takes it; a number in plain text is taken whole, with its sign.</summary>
    Expression Exponent()
    {
        if (++_depth > Limits.Depth)
        {
            throw new BeyondEngineException("nested too deeply");
        }

        var isNegative = false;
        while (IsAt("-") || IsAt("+"))
        {
            isNegative ^= IsAt("-");
            _at++;
        }

        if (Current is { Kind: TokenKind.Word, Text.Length: > 1 })
        {
            throw new BeyondEngineException("an exponent of several letters without braces");
        }

        var result = IsAt("{") ? Group() : Primary();
        result = Take("^") ? new PowerExpression(result, Exponent()) : result;
        _depth--;
        return isNegative ? -result : result;
    }

    Expression Primary()
    {
        var token = Current;
        switch (token.Kind)
        {
            case TokenKind.Number:
                _at++;
                return Number(token.Text);
            case TokenKind.Word:
                return Letters(token.Text);
            case TokenKind.Text when token.Text.Length == 1:
            case TokenKind.Name:
                _at++;
                return Named(token.Text);
            case TokenKind.Function:
                _at++;
                return Function(token.Text);
            case TokenKind.Command when token.Text == "frac":
                _at++;
                var above = Group();
                return above / Group();
            case TokenKind.Command when token.Text == "binom":
                _at++;
                var n = Group();
                return new FunctionExpression("binom", [n, Group()]);
            case TokenKind.Symbol:
                return Bracketed(token.Text);
            default:
                throw new BeyondEngineException(_at < _tokens.Count ? $"'{token.Text}' is not understood" : "the expression ends early");
        }
    }

    Expression Bracketed(string open)
    {
        var close = open switch { "(" => ")", "[" => "]", "{" => "}", "⌊" => "⌋", "⌈" => "⌉", "|" => "|", _ => throw new BeyondEngineException($"'{open}' is not understood") };
        _at++;
        var bars = _bars;
        _bars = open == "|" ? 1 : 0;
        var inner = Sum();
        _bars = bars;
        Expect(close);
        return open switch
        {
            "⌊" => new FunctionExpression("floor", [inner]),
            "⌈" => new FunctionExpression("ceil", [inner]),
            "|" => new FunctionExpression("abs", [inner]),
            _ => inner,
        };
    }

    /// <summary>A number, with the fraction of a mixed number, the repeating digits or the scale word behind it.</summary>
    Expression Number(string text)
    {
        var value = Decimal(text);
        if (Current.IsCommand("overline") && text.Contains('.', StringComparison.Ordinal))
        {
            _at++;
            var start = _at;
            Expect("{");
            var digits = Current.Text;
            _at++;
            Expect("}");
            if (_tokens[start + 1].Kind != TokenKind.Number || !digits.All(char.IsAsciiDigit))
            {
                throw new BeyondEngineException("a bar over no digits");
            }

            var places = text.Length - text.IndexOf('.', StringComparison.Ordinal) - 1;
            return value + Rational.Decimal(digits) / ((new Rational(10, 1).Pow(digits.Length) - 1) * new Rational(10, 1).Pow(places));
        }

        if (value.IsInteger && MixedFraction() is { } fraction)
        {
            return value + fraction;
        }

        while (Current.Kind is TokenKind.Word or TokenKind.Text && NumberWords.Scale(Current.Text) is { } scale)
        {
            value *= scale;
            _at++;
        }

        return value;
    }

    static Rational Decimal(string text)
    {
        var parts = text.Split('e');
        if (parts.Length == 1)
        {
            return Rational.Decimal(text);
        }

        if (!int.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var exponent) || Math.Abs(exponent) > Limits.Bits / 4)
        {
            throw new BeyondEngineException("exponent too large");
        }

        return Rational.Decimal(parts[0]) * new Rational(10, 1).Pow(exponent);
    }

    /// <summary>The proper fraction of numbers behind a whole number: of <c>2\frac{1}{2}</c> or <c>2 1/2</c>.</summary>
    Rational? MixedFraction()
    {
        var start = _at;
        Expression? above = null, below = null;
        if (Current.IsCommand("frac"))
        {
            _at++;
            above = Group();
            below = Group();
        }
        else if (Current.Kind == TokenKind.Number && Current.IsSpaced && _at + 2 < _tokens.Count && _tokens[_at + 1].Is("/") && _tokens[_at + 2].Kind == TokenKind.Number)
        {
            (above, below) = (Decimal(Current.Text), Decimal(_tokens[_at + 2].Text));
            _at += 3;
        }

        if (above is NumberExpression { Value: { IsInteger: true, Sign: > 0 } a } && below is NumberExpression { Value: { IsInteger: true } b } && a.CompareTo(b) < 0)
        {
            return a / b;
        }

        _at = start;
        return null;
    }

    /// <summary>An argument of \frac and \binom: a braced sum or one character.</summary>
    Expression Group()
    {
        if (Take("{"))
        {
            var bars = _bars;
            _bars = 0;
            var inner = Sum();
            _bars = bars;
            Expect("}");
            return inner;
        }

        return SplitFirst() is { } digit ? digit : Primary();
    }

    string _rest = "";

    /// <summary>The next digit of a number that stands for two arguments: \frac12, \frac1{72}, \frac 34.</summary>
    Expression? SplitFirst()
    {
        if (_rest != "")
        {
            var rest = Rational.Decimal(_rest);
            _rest = "";
            return rest;
        }

        if (Current.Kind == TokenKind.Number && Current.Text.All(char.IsAsciiDigit))
        {
            var text = Current.Text;
            _at++;
            _rest = text[1..];
            return Rational.Decimal(text[..1]);
        }

        if (Current.Kind == TokenKind.Word && Current.Text.Length > 1)
        {
            throw new BeyondEngineException("a fraction of letters without braces");
        }

        return null;
    }

    /// <summary>Letters side by side are a product of variables; the last of them may have an index, or be a function of a bracket.</summary>
    Expression Letters(string letters)
    {
        _at++;
        if (letters.Length > 6 || letters.Any(letter => letter > '\u024F'))
        {
            throw new BeyondEngineException("words in an expression");
        }

        if (letters.Length == 1 && "fghFGHP".Contains(letters[0], StringComparison.Ordinal) && IsAt("("))
        {
            _at++;
            var arguments = new List<Expression> { Sum() };
            while (Take(","))
            {
                arguments.Add(Sum());
            }

            Expect(")");
            return new FunctionExpression($"call {letters}", arguments);
        }

        var factors = letters[..^1].Select(letter => (Expression)new SymbolExpression(letter.ToString())).ToList();
        factors.Add(Named(letters[^1..]));
        return factors.Count == 1 ? factors[0] : Powered(factors);
    }

    /// <summary>A power behind letters is that of the last.</summary>
    ProductExpression Powered(List<Expression> factors)
    {
        factors[^1] = Postfix(factors[^1]);
        return new ProductExpression(factors);
    }

    /// <summary>A symbol with its index and primes.</summary>
    SymbolExpression Named(string name)
    {
        if (name is "ldots" or "emptyset" or "rightarrow" or "to" or "Rightarrow" or "implies" or "iff" or "forall" or "exists" or "sum" or "int" or "prod" or "lim"
            or "angle" or "triangle" or "partial" or "nabla" or "because" or "therefore" or "cdotp" or "square" or "Box" || name.StartsWith("mathbb", StringComparison.Ordinal))
        {
            throw new BeyondEngineException($"\\{name} is not understood");
        }

        var full = name;
        for (var times = 0; times < 3; times++)
        {
            if (Take("_"))
            {
                full += "_" + Index();
            }
            else if (Take("'"))
            {
                full += "'";
            }
        }

        return new SymbolExpression(full);
    }

    string Index()
    {
        if (!Take("{"))
        {
            return _at < _tokens.Count && Current.Kind != TokenKind.Symbol ? _tokens[_at++].Text : throw new BeyondEngineException("an index is missing");
        }

        var start = _at;
        while (_at < _tokens.Count && !IsAt("}"))
        {
            _at++;
        }

        var text = string.Concat(_tokens.Skip(start).Take(_at - start).Select(token => token.Text));
        Expect("}");
        return text;
    }

    Expression Function(string name)
    {
        name = name switch { "asin" => "arcsin", "acos" => "arccos", "atan" => "arctan", _ => name };
        if (name is "sqrt" or "cbrt")
        {
            Expression degree = name == "sqrt" ? 2 : 3;
            if (name == "sqrt" && Take("["))
            {
                degree = Sum();
                Expect("]");
            }

            return new PowerExpression(IsAt("{") ? Group() : RootArgument(), 1 / Reciprocal(degree));
        }

        Expression? power = null, root = null;
        while (true)
        {
            if (Take("^"))
            {
                power = Exponent();
            }
            else if (Take("_"))
            {
                root = Take("{") ? Close(Sum()) : Primary();
            }
            else
            {
                break;
            }
        }

        if (power is ProductExpression or NumberExpression { Value.Sign: < 0 })
        {
            // sin⁻¹ is the inverse function, or one over it.
            throw new BeyondEngineException("a negative power of a function");
        }

        var arguments = Arguments();
        Expression result = (name, root) switch
        {
            ("log", { } known) => new FunctionExpression("ln", arguments) / new FunctionExpression("ln", [known]),
            ("log", null) when arguments.Count == 1 => new FunctionExpression("ln", arguments) * new SymbolExpression(SymbolExpression.LogScale),
            ("lg", null) => new FunctionExpression("ln", arguments) / new FunctionExpression("ln", [10]),
            ("exp", null) when arguments.Count == 1 => new PowerExpression(new SymbolExpression(SymbolExpression.Euler), arguments[0]),
            (_, null) => new FunctionExpression(name, arguments),
            _ => throw new BeyondEngineException($"an index of {name}"),
        };
        return power is null ? result : new PowerExpression(result, power);
    }

    static Rational Reciprocal(Expression degree) =>
        degree is NumberExpression { Value: { IsZero: false } value } ? value : throw new BeyondEngineException("a root of a degree that is no number");

    Expression Close(Expression inner)
    {
        Expect("}");
        return inner;
    }

    /// <summary>√2 and \sqrt2 take one number or letter, \sqrt(2) a bracket.</summary>
    Expression RootArgument()
    {
        if (Current.Kind == TokenKind.Word && Current.Text.Length > 1)
        {
            throw new BeyondEngineException("a root of several letters without braces");
        }

        return Primary();
    }

    /// <summary>What stands in the bracket behind a function, or the product up to the next sign, function or bracket: sin 2x, ln 2, sin(x).</summary>
    List<Expression> Arguments()
    {
        if (++_depth > Limits.Depth)
        {
            throw new BeyondEngineException("nested too deeply");
        }

        List<Expression> arguments = [];
        if (IsAt("(") || IsAt("{") || IsAt("["))
        {
            var close = Current.Text switch { "(" => ")", "{" => "}", _ => "]" };
            _at++;
            var bars = _bars;
            _bars = 0;
            do
            {
                arguments.Add(Sum());
            }
            while (Take(","));
            _bars = bars;
            Expect(close);
        }
        else
        {
            var isNegative = Take("-");
            var factors = new List<Expression> { Factor() };
            while (StartsFactor() && !IsAt("(") && !IsAt("[") && Current.Kind != TokenKind.Function && !IsAt("|"))
            {
                factors.Add(Factor());
            }

            if (Current.Is("/") && factors[^1] is NumberExpression or SymbolExpression)
            {
                // sin π/3 is the sine of a third of π to some and a third of a sine to others.
                IsAmbiguous = true;
                _at++;
                factors.Add(new PowerExpression(Factor(), -1));
            }

            var argument = factors.Count == 1 ? factors[0] : new ProductExpression(factors);
            arguments.Add(isNegative ? -argument : argument);
        }

        _depth--;
        return arguments;
    }
}
