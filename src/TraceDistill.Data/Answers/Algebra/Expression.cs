namespace TraceDistill.Data.Answers.Algebra;

/// <summary>A mathematical expression as read, before any simplification.</summary>
abstract record Expression
{
    public static implicit operator Expression(Rational value) => new NumberExpression(value);

    public static implicit operator Expression(int value) => new NumberExpression(value);

    public static Expression operator +(Expression a, Expression b) => new SumExpression([a, b]);

    public static Expression operator -(Expression a, Expression b) => new SumExpression([a, -b]);

    public static Expression operator -(Expression a) => new ProductExpression([-1, a]);

    public static Expression operator *(Expression a, Expression b) => new ProductExpression([a, b]);

    public static Expression operator /(Expression a, Expression b) => new ProductExpression([a, new PowerExpression(b, -1)]);

    /// <summary>The names of its variables; constants such as π are none.</summary>
    public IEnumerable<string> Variables() =>
        this switch
        {
            SymbolExpression symbol => SymbolExpression.IsConstant(symbol.Name) ? [] : [symbol.Name],
            SumExpression sum => sum.Terms.SelectMany(term => term.Variables()),
            ProductExpression product => product.Factors.SelectMany(factor => factor.Variables()),
            PowerExpression power => power.Base.Variables().Concat(power.Exponent.Variables()),
            FunctionExpression function => function.Arguments.SelectMany(argument => argument.Variables()),
            _ => [],
        };
}

sealed record NumberExpression(Rational Value) : Expression;

/// <summary>A variable, or a constant of <see cref="IsConstant"/>.</summary>
sealed record SymbolExpression(string Name) : Expression
{
    public const string Pi = "pi",
        Euler = "e",
        Imaginary = "i",
        Infinity = "infinity";

    /// <summary>
    /// The factor that a logarithm without a base has beside the natural one: some mean the natural, some the decimal one.
    /// </summary>
    public const string LogScale = "1/ln(base)";

    public static bool IsConstant(string name) => name is Pi or Euler or Imaginary or Infinity or LogScale;
}

sealed record SumExpression(IReadOnlyList<Expression> Terms) : Expression;

sealed record ProductExpression(IReadOnlyList<Expression> Factors) : Expression;

sealed record PowerExpression(Expression Base, Expression Exponent) : Expression;

/// <summary>
/// A function by its name: <c>sin</c>, <c>ln</c>, <c>abs</c>, <c>factorial</c>, <c>binom</c> … or one that the answer made up.
/// </summary>
sealed record FunctionExpression(string Name, IReadOnlyList<Expression> Arguments) : Expression;
