using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>
/// Reads tokens as one expression: sums, products with or without a sign, powers, fractions, roots, functions, absolute values. A
/// recursive-descent parser with a limit on its depth.
/// </summary>
sealed class ExpressionParser
{
    static readonly Expression DegreeInRadians = (Expression)new SymbolExpression(SymbolExpression.Pi) / 180;

    readonly TokenCursor _tokens;
    readonly NumberReader _numbers;
    readonly SymbolReader _symbols;
    readonly FunctionReader _functions;
    string _rest = "";
    bool _isWithinBars;

    ExpressionParser(IReadOnlyList<Token> tokens)
    {
        _tokens = new TokenCursor(tokens);
        _numbers = new NumberReader(this, _tokens);
        _symbols = new SymbolReader(this, _tokens);
        _functions = new FunctionReader(this, _tokens);
    }

    /// <summary>True where a slash had a product without a sign behind it, as in <c>1/2x</c>, which people read in two ways.</summary>
    public bool IsAmbiguous { get; set; }

    /// <exception cref="BeyondEngineException">The tokens are no expression.</exception>
    public static Expression Read(IReadOnlyList<Token> tokens, out bool isAmbiguous)
    {
        var parser = new ExpressionParser(tokens);
        var result = parser.Sum();
        if (!parser._tokens.IsAtEnd)
        {
            throw new BeyondEngineException($"'{parser._tokens.Current.Text}' does not belong to an expression");
        }

        isAmbiguous = parser.IsAmbiguous;
        return result;
    }

    Expression Sum()
    {
        _tokens.Enter();
        var terms = new List<Expression>();
        do
        {
            var isNegative = _tokens.TakeSigns();
            var term = Product();
            terms.Add(isNegative ? -term : term);
        } while (_tokens.IsAt("+") || _tokens.IsAt("-"));
        _tokens.Leave();
        return terms.Count == 1 ? terms[0] : new SumExpression(terms);
    }

    Expression Product()
    {
        var factors = new List<Expression> { Factor() };
        var isBehindSlash = false;
        while (true)
        {
            if (_tokens.Take("*"))
            {
                factors.Add(SignedFactor());
                isBehindSlash = false;
            }
            else if (_tokens.Take("/"))
            {
                factors.Add(new PowerExpression(SignedFactor(), -1));
                isBehindSlash = true;
            }
            else if (_tokens.Current.IsCommand("bmod"))
            {
                throw new BeyondEngineException("remainders");
            }
            else if (StartsFactor())
            {
                // Two numbers side by side are no product, except around brackets.
                if (_tokens.Current.Kind == TokenKind.Number && _tokens.Peek(-1).Kind == TokenKind.Number)
                {
                    throw new BeyondEngineException("two numbers side by side");
                }

                IsAmbiguous |= isBehindSlash && !_tokens.IsAt("(");
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
        var isNegative = _tokens.TakeSigns();
        return isNegative ? -Factor() : Factor();
    }

    /// <summary>Returns whether what stands here multiplies what stands before it.</summary>
    public bool StartsFactor() =>
        _tokens.Current.Kind switch
        {
            TokenKind.Number or TokenKind.Word or TokenKind.Name or TokenKind.Function => true,
            TokenKind.Text => _tokens.Current.Text.Length == 1,
            TokenKind.Command => _tokens.Current.Text is "frac" or "binom",
            _ => _tokens.Current.Text is "(" or "[" or "{" or "⌊" or "⌈" || _tokens.IsAt("|") && !_isWithinBars,
        };

    /// <summary>A primary with its powers, factorials, percent and degree signs.</summary>
    public Expression Factor()
    {
        _tokens.Enter();
        var result = Postfix(Primary());
        _tokens.Leave();
        return result;
    }

    public Expression Postfix(Expression result)
    {
        for (var times = 0; ; times++)
        {
            if (times > 4)
            {
                throw new BeyondEngineException("a tower of signs");
            }

            if (_tokens.Take("^"))
            {
                if (_tokens.Take("°") || _tokens.IsAt("{") && _tokens.Peek(1).Is("°") && _tokens.Peek(2).Is("}"))
                {
                    _tokens.Position += _tokens.IsAt("{") ? 3 : 0;
                    result *= DegreeInRadians;
                }
                else
                {
                    result = new PowerExpression(result, Exponent());
                }
            }
            else if (_tokens.Take("!"))
            {
                if (_tokens.IsAt("!"))
                {
                    throw new BeyondEngineException("double factorials");
                }

                result = new FunctionExpression("factorial", [result]);
            }
            else if (_tokens.Take("%"))
            {
                result /= 100;
            }
            else if (_tokens.Take("°"))
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
    public Expression Exponent()
    {
        _tokens.Enter();
        var isNegative = _tokens.TakeSigns();
        if (_tokens.Current is { Kind: TokenKind.Word, Text.Length: > 1 })
        {
            throw new BeyondEngineException("an exponent of several letters without braces");
        }

        var result = _tokens.IsAt("{") ? Group() : Primary();
        result = _tokens.Take("^") ? new PowerExpression(result, Exponent()) : result;
        _tokens.Leave();
        return isNegative ? -result : result;
    }

    public Expression Primary()
    {
        var token = _tokens.Current;
        switch (token.Kind)
        {
            case TokenKind.Number:
                return _numbers.Read();
            case TokenKind.Word:
                return _symbols.Letters();
            case TokenKind.Text when token.Text.Length == 1:
            case TokenKind.Name:
                return _symbols.Symbol();
            case TokenKind.Function:
                return _functions.Read();
            case TokenKind.Command when token.Text == "frac":
                _tokens.Position++;
                var above = Group();
                return above / Group();
            case TokenKind.Command when token.Text == "binom":
                _tokens.Position++;
                var n = Group();
                return new FunctionExpression("binom", [n, Group()]);
            case TokenKind.Symbol when !_tokens.IsAtEnd:
                return Bracketed();
            default:
                throw new BeyondEngineException(_tokens.IsAtEnd ? "the expression ends early" : $"'{token.Text}' is not understood");
        }
    }

    /// <summary>An expression in brackets of any kind, those of absolute values and rounding among them.</summary>
    Expression Bracketed()
    {
        var open = _tokens.Next().Text;
        return open switch
        {
            "(" => Sum(")"),
            "[" => Sum("]"),
            "{" => Sum("}"),
            "⌊" => new FunctionExpression("floor", [Sum("⌋")]),
            "⌈" => new FunctionExpression("ceil", [Sum("⌉")]),
            "|" => new FunctionExpression("abs", [Sum("|")]),
            _ => throw new BeyondEngineException($"'{open}' is not understood"),
        };
    }

    /// <summary>A sum up to the bracket that closes it. Within absolute bars a bar closes, elsewhere it opens.</summary>
    public Expression Sum(string close)
    {
        var isWithinBars = _isWithinBars;
        _isWithinBars = close == "|";
        var inner = Sum();
        _isWithinBars = isWithinBars;
        _tokens.Expect(close);
        return inner;
    }

    /// <summary>Sums with commas between, in brackets.</summary>
    public List<Expression> List(string open, string close)
    {
        _tokens.Expect(open);
        var isWithinBars = _isWithinBars;
        _isWithinBars = false;
        var items = new List<Expression> { Sum() };
        while (_tokens.Take(","))
        {
            items.Add(Sum());
        }

        _isWithinBars = isWithinBars;
        _tokens.Expect(close);
        return items;
    }

    /// <summary>An argument of \frac and \binom: a braced sum or one character.</summary>
    public Expression Group()
    {
        return _tokens.Take("{") ? Sum("}") : SplitFirst() ?? Primary();
    }

    /// <summary>The next digit of a number that stands for two arguments: \frac12, \frac1{72}, \frac 34.</summary>
    Expression? SplitFirst()
    {
        if (_rest != "")
        {
            var rest = Rational.Decimal(_rest);
            _rest = "";
            return rest;
        }

        if (_tokens.Current.Kind == TokenKind.Number && _tokens.Current.Text.All(char.IsAsciiDigit))
        {
            var text = _tokens.Next().Text;
            _rest = text[1..];
            return Rational.Decimal(text[..1]);
        }

        if (_tokens.Current.Kind == TokenKind.Word && _tokens.Current.Text.Length > 1)
        {
            throw new BeyondEngineException("a fraction of letters without braces");
        }

        return null;
    }
}
