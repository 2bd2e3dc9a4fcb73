using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>Reads functions with their powers, bases and arguments, and roots.</summary>
sealed class FunctionReader(ExpressionParser parser, TokenCursor tokens)
{
    public Expression Read()
    {
        var name = tokens.Next().Text switch
        {
            "asin" => "arcsin",
            "acos" => "arccos",
            "atan" => "arctan",
            var text => text,
        };
        if (name is "sqrt" or "cbrt")
        {
            Expression degree = name == "sqrt" ? 2 : 3;
            if (name == "sqrt" && tokens.Take("["))
            {
                degree = parser.Sum("]");
            }

            return new PowerExpression(tokens.IsAt("{") ? parser.Group() : RootArgument(), 1 / Reciprocal(degree));
        }

        Expression? power = null,
            root = null;
        while (true)
        {
            if (tokens.Take("^"))
            {
                power = parser.Exponent();
            }
            else if (tokens.Take("_"))
            {
                root = tokens.Take("{") ? parser.Sum("}") : parser.Primary();
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
            ("log", null) when arguments.Count == 1 => new FunctionExpression("ln", arguments)
                * new SymbolExpression(SymbolExpression.LogScale),
            ("lg", null) => new FunctionExpression("ln", arguments) / new FunctionExpression("ln", [10]),
            ("exp", null) when arguments.Count == 1 => new PowerExpression(new SymbolExpression(SymbolExpression.Euler), arguments[0]),
            (_, null) => new FunctionExpression(name, arguments),
            _ => throw new BeyondEngineException($"an index of {name}"),
        };
        return power is null ? result : new PowerExpression(result, power);
    }

    static Rational Reciprocal(Expression degree) =>
        degree is NumberExpression { Value: { IsZero: false } value }
            ? value
            : throw new BeyondEngineException("a root of a degree that is no number");

    /// <summary>√2 and \sqrt2 take one number or letter, \sqrt(2) a bracket.</summary>
    Expression RootArgument()
    {
        if (tokens.Current.Kind == TokenKind.Word && tokens.Current.Text.Length > 1)
        {
            throw new BeyondEngineException("a root of several letters without braces");
        }

        return parser.Primary();
    }

    /// <summary>
    /// Arguments in the bracket behind a function, or the product up to the next sign, function or bracket: sin 2x, ln 2, sin(x).
    /// </summary>
    List<Expression> Arguments()
    {
        tokens.Enter();
        List<Expression> arguments = tokens.Current.Text switch
        {
            "(" => parser.List("(", ")"),
            "{" => parser.List("{", "}"),
            "[" => parser.List("[", "]"),
            _ => [Bare()],
        };
        tokens.Leave();
        return arguments;
    }

    Expression Bare()
    {
        var isNegative = tokens.Take("-");
        var factors = new List<Expression> { parser.Factor() };
        while (
            parser.StartsFactor()
            && !tokens.IsAt("(")
            && !tokens.IsAt("[")
            && tokens.Current.Kind != TokenKind.Function
            && !tokens.IsAt("|")
        )
        {
            factors.Add(parser.Factor());
        }

        if (factors[^1] is NumberExpression or SymbolExpression && tokens.Take("/"))
        {
            // sin π/3 is the sine of a third of π to some and a third of a sine to others.
            parser.IsAmbiguous = true;
            factors.Add(new PowerExpression(parser.Factor(), -1));
        }

        var argument = factors.Count == 1 ? factors[0] : new ProductExpression(factors);
        return isNegative ? -argument : argument;
    }
}
