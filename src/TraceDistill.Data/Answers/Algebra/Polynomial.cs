using System.Collections.Immutable;

namespace TraceDistill.Data.Answers.Algebra;

/// <summary>
/// Something that monomials are made of: a variable, π, e, i, a prime under a root, or an expression that algebra does not look into.
/// </summary>
/// <param name="Name">Unique.</param>
/// <param name="Definition">Where it is an expression: that expression.</param>
/// <param name="Prime">Where it is a prime: its value; its exponents are from 0 to below 1.</param>
sealed record Generator(string Name, Expression? Definition = null, int Prime = 0)
{
    public static Generator Imaginary { get; } = new(SymbolExpression.Imaginary);

    /// <summary>True where sums of different monomials in it can still be equal: nothing is known of how it depends on others.</summary>
    public bool IsOpaque => Definition is not null;

    public bool IsPositive => Prime > 0 || Name is SymbolExpression.Pi or SymbolExpression.Euler;
}

/// <summary>A product of powers of generators; exponents may be negative, and of primes and variables fractions.</summary>
sealed class Monomial : IEquatable<Monomial>, IComparable<Monomial>
{
    Monomial(ImmutableArray<(Generator Of, Rational Exponent)> powers)
    {
        Powers = powers;
        Key = string.Join('*', powers.Select(power => $"{power.Of.Name}^{power.Exponent}"));
    }

    public static Monomial One { get; } = new([]);

    /// <summary>By name, without zero exponents.</summary>
    public ImmutableArray<(Generator Of, Rational Exponent)> Powers { get; }

    public string Key { get; }

    /// <summary>A product as a monomial in normal form and the number that normal form takes out of it.</summary>
    public static (Monomial Monomial, Rational Factor) Create(IEnumerable<(Generator Of, Rational Exponent)> powers)
    {
        Rational factor = 1;
        var merged = new SortedDictionary<string, (Generator Of, Rational Exponent)>(StringComparer.Ordinal);
        foreach (var (of, exponent) in powers)
        {
            merged[of.Name] = (of, merged.TryGetValue(of.Name, out var known) ? known.Exponent + exponent : exponent);
        }

        var kept = ImmutableArray.CreateBuilder<(Generator, Rational)>();
        foreach (var (of, exponent) in merged.Values)
        {
            var rest = exponent;
            if (of.Prime > 0)
            {
                var whole = exponent.Floor();
                factor *= new Rational(of.Prime, 1).Pow(whole);
                rest -= whole;
            }
            else if (of == Generator.Imaginary && exponent.IsInteger)
            {
                var turns = (int)(exponent - 4 * new Rational(exponent.Numerator, 4).Floor()).Numerator;
                factor *= turns >= 2 ? -1 : 1;
                rest = turns % 2;
            }

            if (!rest.IsZero)
            {
                kept.Add((of, rest));
            }
        }

        return (kept.Count == 0 ? One : new Monomial(kept.ToImmutable()), factor);
    }

    public int CompareTo(Monomial? other) => string.CompareOrdinal(Key, other?.Key);

    public bool Equals(Monomial? other) => Key == other?.Key;

    public override bool Equals(object? obj) => Equals(obj as Monomial);

    public override int GetHashCode() => Key.GetHashCode(StringComparison.Ordinal);
}

/// <summary>A sum of monomials with exact coefficients, none of them zero.</summary>
sealed class Polynomial
{
    readonly SortedDictionary<Monomial, Rational> _terms = [];

    public static Polynomial Zero { get; } = new();

    public static Polynomial One { get; } = Of(1, Monomial.One);

    public IReadOnlyDictionary<Monomial, Rational> Terms => _terms;

    public bool IsZero => _terms.Count == 0;

    /// <summary>Returns whether it is one number, and which.</summary>
    public bool IsNumber(out Rational value)
    {
        value = IsZero ? 0 : _terms.First().Value;
        return IsZero || _terms.Count == 1 && _terms.First().Key.Powers.IsEmpty;
    }

    public bool HasOpaque => _terms.Keys.Any(monomial => monomial.Powers.Any(power => power.Of.IsOpaque));

    public string Key => string.Join('+', _terms.Select(term => $"{term.Value}*{term.Key.Key}"));

    public static Polynomial Of(Rational coefficient, Monomial monomial)
    {
        var result = new Polynomial();
        result.Add(monomial, coefficient);
        return result;
    }

    public static Polynomial Of(Rational coefficient, params IEnumerable<(Generator, Rational)> powers)
    {
        var (monomial, factor) = Monomial.Create(powers);
        return Of(coefficient * factor, monomial);
    }

    public static Polynomial operator +(Polynomial a, Polynomial b)
    {
        var result = new Polynomial();
        foreach (var (monomial, coefficient) in a._terms.Concat(b._terms))
        {
            result.Add(monomial, coefficient);
        }

        return result;
    }

    public static Polynomial operator -(Polynomial a, Polynomial b) => a + Of(-1, Monomial.One) * b;

    public static Polynomial operator *(Polynomial a, Polynomial b)
    {
        if (a._terms.Count * b._terms.Count > Limits.Products)
        {
            throw new BeyondEngineException("too many terms");
        }

        WorkLimit.Charge(60L * a._terms.Count * b._terms.Count);
        var result = new Polynomial();
        foreach (var (x, first) in a._terms)
        {
            foreach (var (y, second) in b._terms)
            {
                var (monomial, factor) =
                    x.Powers.IsEmpty ? (y, 1)
                    : y.Powers.IsEmpty ? (x, 1)
                    : Monomial.Create(x.Powers.Concat(y.Powers));
                result.Add(monomial, first * second * factor);
            }
        }

        return result;
    }

    void Add(Monomial monomial, Rational coefficient)
    {
        var sum = coefficient + _terms.GetValueOrDefault(monomial);
        if (sum.IsZero)
        {
            _terms.Remove(monomial);
            return;
        }

        if (sum.Bits > 2 * Limits.Bits)
        {
            throw new BeyondEngineException("number too large");
        }

        _terms[monomial] = sum;
        if (_terms.Count > Limits.Terms)
        {
            throw new BeyondEngineException("too many terms");
        }
    }
}
