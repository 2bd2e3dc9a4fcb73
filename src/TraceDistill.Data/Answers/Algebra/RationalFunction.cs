using System.Numerics;

namespace TraceDistill.Data.Answers.Algebra;

/// <summary>
/// A quotient of polynomials, the normal form of an expression. Roots of numbers are products of roots of primes, which no sum of
/// others equals (Besicovitch 1940): two normal forms without opaque generators are equal exactly where their cross products are.
/// </summary>
sealed record RationalFunction(Polynomial Above, Polynomial Below)
{
    /// <summary>Largest prime that is looked for under a root.</summary>
    const int LargestPrime = 50_000;

    string Key => Below.IsNumber(out _) ? Above.Key : $"({Above.Key})/({Below.Key})";

    /// <exception cref="BeyondEngineException">It has no value, or is too large to be written out.</exception>
    public static RationalFunction Of(Expression expression) =>
        expression switch
        {
            NumberExpression number => Number(number.Value),
            SymbolExpression symbol => Over(Polynomial.Of(1, (new Generator(symbol.Name), 1))),
            SumExpression sum => sum.Terms.Select(Of).Aggregate(Add),
            ProductExpression product => product.Factors.Select(Of).Aggregate(Multiply),
            PowerExpression power => Power(power),
            FunctionExpression function => Function(function),
            _ => throw new NotSupportedException($"{expression.GetType()}"),
        };

    /// <summary>Returns whether it is one number, and which.</summary>
    public bool IsNumber(out Rational value)
    {
        value = default;
        if (!Above.IsNumber(out var above) || !Below.IsNumber(out var below))
        {
            return false;
        }

        value = above / below;
        return true;
    }

    static RationalFunction Over(Polynomial above) => new(above, Polynomial.One);

    static RationalFunction Number(Rational value) => Over(Polynomial.Of(value, Monomial.One));

    static RationalFunction Add(RationalFunction a, RationalFunction b) =>
        a.Below.Key == b.Below.Key ? new(a.Above + b.Above, a.Below) : new(a.Above * b.Below + b.Above * a.Below, a.Below * b.Below);

    static RationalFunction Multiply(RationalFunction a, RationalFunction b) => new(a.Above * b.Above, a.Below * b.Below);

    /// <summary>One over it; a denominator of one term goes into the numerator as negative exponents.</summary>
    RationalFunction Invert()
    {
        if (Above.IsZero)
        {
            throw new BeyondEngineException("division by zero") { IsUndefined = true };
        }

        if (Above.Terms.Count > 1)
        {
            return new(Below, Above);
        }

        var (monomial, coefficient) = Above.Terms.First();
        return Over(Below * Polynomial.Of(1 / coefficient, monomial.Powers.Select(power => (power.Of, -power.Exponent))));
    }

    static RationalFunction Power(PowerExpression power)
    {
        var (root, exponent) = (Of(power.Base), Of(power.Exponent));
        if (!exponent.IsNumber(out var number))
        {
            return Opaque(power, $"({root.Key})^({exponent.Key})");
        }

        if (root.IsNumber(out var value) && number.IsInteger)
        {
            if (value.IsZero && number.Sign <= 0)
            {
                throw new BeyondEngineException("zero to a power that is not positive") { IsUndefined = true };
            }

            return IsWithinLimits(value, number.Numerator)
                ? Number(value.Pow(number.Numerator))
                : Opaque(power, $"({root.Key})^({number})");
        }

        if (
            number.IsInteger
            && BigInteger.Abs(number.Numerator) is var times
            && (times <= Limits.Exponent || root.Above.Terms.Count <= 1 && root.Below.IsNumber(out _))
        )
        {
            var positive =
                root.Above.Terms.Count == 1 && root.Below.IsNumber(out var below) && below == 1
                    ? PowerOfTerm(root.Above.Terms.First(), times)
                : times > Limits.Exponent ? null
                : Repeat(root, (int)times);
            if (positive is not null)
            {
                return number.Sign < 0 ? positive.Invert() : positive;
            }
        }

        return !number.IsInteger && RootOfTerm(root, number) is { } term ? term : Opaque(power, $"({root.Key})^({number})");
    }

    static bool IsWithinLimits(Rational value, BigInteger exponent) =>
        value.Abs() == 1 || value.IsZero || BigInteger.Abs(exponent) * value.Bits <= Limits.Bits;

    static RationalFunction? PowerOfTerm(KeyValuePair<Monomial, Rational> term, BigInteger times) =>
        IsWithinLimits(term.Value, times) && times <= 1_000_000
            ? Over(Polynomial.Of(term.Value.Pow(times), term.Key.Powers.Select(power => (power.Of, power.Exponent * times))))
            : null;

    static RationalFunction Repeat(RationalFunction root, int times)
    {
        var result = Number(1);
        for (var i = 0; i < times; i++)
        {
            result = Multiply(result, root);
        }

        return result;
    }

    /// <summary>
    /// A fractional power of a single term, where it is one in turn; null where it is not, or where its branch is in doubt.
    /// </summary>
    static RationalFunction? RootOfTerm(RationalFunction root, Rational exponent)
    {
        if (root.Above.IsZero && exponent.Sign > 0)
        {
            return root;
        }

        if (root.Above.Terms.Count != 1 || !root.Below.IsNumber(out var below) || below != 1)
        {
            return null;
        }

        var (monomial, coefficient) = root.Above.Terms.First();
        var powers = new List<(Generator, Rational)>();
        if (coefficient.Sign < 0)
        {
            if (exponent.Denominator == 2)
            {
                powers.Add((Generator.Imaginary, exponent.Numerator));
            }
            else if (exponent.Denominator.IsEven || !monomial.Powers.IsEmpty)
            {
                return null;
            }
        }

        foreach (var (of, power) in monomial.Powers)
        {
            // √(x²) is not x, and √(xy) not √x √y everywhere; a variable alone has one reading.
            var isVariableAlone =
                monomial.Powers.Length == 1 && power == 1 && !of.IsOpaque && of != Generator.Imaginary && coefficient.Sign > 0;
            if (!of.IsPositive && !isVariableAlone)
            {
                return null;
            }

            powers.Add((of, power * exponent));
        }

        if (!Factor(coefficient.Numerator, exponent, powers) || !Factor(coefficient.Denominator, -exponent, powers))
        {
            return null;
        }

        var isNegative = coefficient.Sign < 0 && exponent.Denominator != 2 && !exponent.Numerator.IsEven;
        return Over(Polynomial.Of(isNegative ? -1 : 1, powers));
    }

    static bool Factor(BigInteger number, Rational exponent, List<(Generator, Rational)> powers)
    {
        var rest = BigInteger.Abs(number);
        if (rest.GetBitLength() > 256)
        {
            return false;
        }

        WorkLimit.Charge((long)Math.Sqrt((double)BigInteger.Min(rest, (long)LargestPrime * LargestPrime)) / 4);
        for (var prime = 2; prime <= LargestPrime && (long)prime * prime <= rest; prime += prime == 2 ? 1 : 2)
        {
            var times = 0;
            while (rest % prime == 0)
            {
                rest /= prime;
                times++;
            }

            if (times > 0)
            {
                powers.Add((PrimeGenerator(prime), exponent * times));
            }
        }

        if (rest > (long)LargestPrime * LargestPrime || rest > int.MaxValue)
        {
            return false;
        }

        if (rest > 1)
        {
            powers.Add((PrimeGenerator((int)rest), exponent));
        }

        return true;
    }

    static Generator PrimeGenerator(int prime) => new($"#{prime}", Prime: prime);

    static RationalFunction Function(FunctionExpression function)
    {
        var arguments = function.Arguments.Select(Of).ToList();
        var numbers = arguments.Select(argument => argument.IsNumber(out var value) ? value : (Rational?)null).ToList();
        return (function.Name, numbers) switch
        {
            ("abs", [{ } value]) => Number(value.Abs()),
            ("floor", [{ } value]) => Number(value.Floor()),
            ("ceil", [{ } value]) => Number(-(-value).Floor()),
            ("factorial", [{ IsInteger: true, Sign: >= 0 } value]) when value.Numerator <= Limits.Factorial => Number(
                Factorial(value.Numerator)
            ),
            ("factorial", [{ } value]) when !value.IsInteger || value.Sign < 0 => throw new BeyondEngineException(
                "factorial of no natural number"
            ),
            ("binom", [{ IsInteger: true } n, { IsInteger: true, Sign: >= 0 } k]) when n.Sign >= 0 && n.Numerator <= Limits.Factorial =>
                Number(Binomial(n.Numerator, k.Numerator)),
            ("ln", [{ IsZero: true }]) => throw new BeyondEngineException("logarithm of zero") { IsUndefined = true },
            _ => Opaque(function, $"{function.Name}({string.Join(',', arguments.Select(argument => argument.Key))})"),
        };
    }

    static BigInteger Factorial(BigInteger n)
    {
        var product = BigInteger.One;
        WorkLimit.Charge((long)(n * n / 200));
        for (var factor = 2; factor <= n; factor++)
        {
            product *= factor;
        }

        return product;
    }

    static BigInteger Binomial(BigInteger n, BigInteger k) => k > n ? 0 : Factorial(n) / (Factorial(k) * Factorial(n - k));

    static RationalFunction Opaque(Expression expression, string key) => Over(Polynomial.Of(1, (new Generator($"@{key}", expression), 1)));
}
