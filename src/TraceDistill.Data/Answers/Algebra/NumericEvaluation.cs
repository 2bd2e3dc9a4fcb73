using System.Numerics;

namespace TraceDistill.Data.Answers.Algebra;

/// <summary>Values of expressions in double precision at a point. What has no value, or none that doubles hold, is not a number.</summary>
/// <param name="point">The value of every variable.</param>
sealed class NumericEvaluation(Func<string, Complex> point)
{
    static readonly Complex Undefined = new(double.NaN, double.NaN);

    /// <summary>The value of an expression without variables; null where it has no real one.</summary>
    public static double? Real(Expression expression)
    {
        if (expression.Variables().Any())
        {
            return null;
        }

        var value = new NumericEvaluation(_ => Undefined).Evaluate(expression);
        return double.IsNaN(value.Real) || Math.Abs(value.Imaginary) > 1e-9 * (1 + Math.Abs(value.Real)) ? null : value.Real;
    }

    /// <exception cref="BeyondEngineException">The comparison has had its work.</exception>
    public Complex Evaluate(Expression expression)
    {
        WorkLimit.Charge(5);
        return expression switch
        {
            NumberExpression number => number.Value.ToDouble(),
            SymbolExpression symbol => Symbol(symbol.Name),
            SumExpression sum => sum.Terms.Aggregate(Complex.Zero, (total, term) => total + Evaluate(term)),
            ProductExpression product => product.Factors.Aggregate(Complex.One, (total, factor) => total * Evaluate(factor)),
            PowerExpression power => Power(power),
            FunctionExpression function => Function(function.Name, [.. function.Arguments.Select(Evaluate)]),
            _ => Undefined,
        };
    }

    public Complex Symbol(string name) =>
        name switch
        {
            SymbolExpression.Pi => Math.PI,
            SymbolExpression.Euler => Math.E,
            SymbolExpression.Imaginary => Complex.ImaginaryOne,
            SymbolExpression.LogScale => 1 / Math.Log(10),
            SymbolExpression.Infinity => double.PositiveInfinity,
            _ => point(name),
        };

    Complex Power(PowerExpression power)
    {
        var (root, exponent) = (Evaluate(power.Base), Evaluate(power.Exponent));
        if (root == Complex.Zero)
        {
            return exponent.Real > 0 ? Complex.Zero : Undefined;
        }

        if (root.Imaginary == 0 && exponent.Imaginary == 0)
        {
            if (root.Real > 0 || exponent.Real == Math.Floor(exponent.Real))
            {
                return Math.Pow(root.Real, exponent.Real);
            }

            // An odd root of a negative number is the real one.
            if (power.Exponent is NumberExpression { Value: var value } && !value.Denominator.IsEven)
            {
                return (value.Numerator.IsEven ? 1 : -1) * Math.Pow(-root.Real, exponent.Real);
            }
        }

        return Complex.Pow(root, exponent);
    }

    static Complex Function(string name, Complex[] x) =>
        (name, x.Length) switch
        {
            ("abs", 1) => Complex.Abs(x[0]),
            ("sin", 1) => Complex.Sin(x[0]),
            ("cos", 1) => Complex.Cos(x[0]),
            ("tan", 1) => Complex.Tan(x[0]),
            ("cot", 1) => Complex.Cos(x[0]) / Complex.Sin(x[0]),
            ("sec", 1) => 1 / Complex.Cos(x[0]),
            ("csc", 1) => 1 / Complex.Sin(x[0]),
            ("arcsin", 1) => Complex.Asin(x[0]),
            ("arccos", 1) => Complex.Acos(x[0]),
            ("arctan", 1) => Complex.Atan(x[0]),
            ("sinh", 1) => Complex.Sinh(x[0]),
            ("cosh", 1) => Complex.Cosh(x[0]),
            ("tanh", 1) => Complex.Tanh(x[0]),
            ("ln", 1) => Complex.Log(x[0]),
            ("floor", 1) => x[0].Imaginary == 0 ? Math.Floor(x[0].Real) : Undefined,
            ("ceil", 1) => x[0].Imaginary == 0 ? Math.Ceiling(x[0].Real) : Undefined,
            ("factorial", 1) => IsNatural(x[0]) ? Factorial(x[0].Real) : Undefined,
            ("binom", 2) => IsNatural(x[0]) && IsNatural(x[1]) ? Binomial(x[0].Real, x[1].Real) : Undefined,
            ("min", > 0) => x.All(value => value.Imaginary == 0) ? x.Min(value => value.Real) : Undefined,
            ("max", > 0) => x.All(value => value.Imaginary == 0) ? x.Max(value => value.Real) : Undefined,
            _ => MadeUp(name, x),
        };

    static bool IsNatural(Complex value) => value is { Imaginary: 0, Real: >= 0 and <= 170 } && value.Real == Math.Floor(value.Real);

    static double Factorial(double n)
    {
        var product = 1.0;
        for (var factor = 2; factor <= n; factor++)
        {
            product *= factor;
        }

        return product;
    }

    static double Binomial(double n, double k) => k > n ? 0 : Factorial(n) / (Factorial(k) * Factorial(n - k));

    /// <summary>Any smooth function serves for one that the answer calls f, as long as each name has its own.</summary>
    static Complex MadeUp(string name, Complex[] x)
    {
        var argument = new Complex(SpotPoints.Hash(name), 0);
        for (var i = 0; i < x.Length; i++)
        {
            argument += x[i] * (SpotPoints.Hash($"{name}/{i}") + 0.5);
        }

        return Complex.Sin(argument) + argument;
    }
}

/// <summary>Pseudo-random points at which expressions are compared; the same ones every time.</summary>
static class SpotPoints
{
    public const int Count = 6;

    /// <summary>A number from 0 to below 1 that only depends on the text.</summary>
    public static double Hash(string text)
    {
        var hash = 14695981039346656037UL; // FNV-1a
        foreach (var character in text)
        {
            hash = (hash ^ character) * 1099511628211UL;
        }

        hash ^= hash >> 29;
        hash *= 0x9E3779B97F4A7C15UL;
        return (hash >> 11) / (double)(1UL << 53);
    }

    /// <summary>Positive numbers near 1 at which powers and logarithms neither vanish nor explode.</summary>
    public static Func<string, Complex> Positive(int index) => name => 0.3 + 2.2 * Hash($"{index}:{name}");

    /// <summary>The same with either sign.</summary>
    public static Func<string, Complex> Signed(int index) =>
        name => (Hash($"{name}:{index}") < 0.6 ? -1 : 1) * (0.3 + 2.2 * Hash($"{index}:{name}"));

    /// <summary>Natural numbers, for what is only defined on those.</summary>
    public static Func<string, Complex> Natural(int index) => name => Math.Floor(1 + index + 9 * Hash($"{index}:{name}"));
}
