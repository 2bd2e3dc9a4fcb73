using System.Globalization;
using System.Numerics;

namespace TraceDistill.Data.Answers.Algebra;

/// <summary>An exact fraction in lowest terms with a positive denominator.</summary>
readonly record struct Rational : IComparable<Rational>
{
    // One less than the denominator, so that the default value is 0/1.
    readonly BigInteger _belowLessOne;

    /// <exception cref="BeyondEngineException">The denominator is zero.</exception>
    public Rational(BigInteger numerator, BigInteger denominator)
    {
        if (denominator.IsZero)
        {
            throw new BeyondEngineException("division by zero") { IsUndefined = true };
        }

        WorkLimit.ChargeBits(numerator.GetBitLength() + denominator.GetBitLength());
        var divisor = BigInteger.GreatestCommonDivisor(numerator, denominator) * denominator.Sign;
        Numerator = numerator / divisor;
        _belowLessOne = denominator / divisor - 1;
    }

    public BigInteger Numerator { get; }

    public BigInteger Denominator => _belowLessOne + 1;

    public bool IsInteger => _belowLessOne.IsZero;

    public bool IsZero => Numerator.IsZero;

    public int Sign => Numerator.Sign;

    /// <summary>Size in bits of numerator and denominator together.</summary>
    public long Bits => Numerator.GetBitLength() + Denominator.GetBitLength();

    public static implicit operator Rational(BigInteger value) => new(value, 1);

    public static implicit operator Rational(long value) => new(value, 1);

    public static Rational operator +(Rational a, Rational b) =>
        new(a.Numerator * b.Denominator + b.Numerator * a.Denominator, a.Denominator * b.Denominator);

    public static Rational operator -(Rational a, Rational b) => a + -b;

    public static Rational operator -(Rational a) => new(-a.Numerator, a.Denominator);

    public static Rational operator *(Rational a, Rational b) => new(a.Numerator * b.Numerator, a.Denominator * b.Denominator);

    public static Rational operator /(Rational a, Rational b) => new(a.Numerator * b.Denominator, a.Denominator * b.Numerator);

    public int CompareTo(Rational other) => (Numerator * other.Denominator).CompareTo(other.Numerator * Denominator);

    public Rational Abs() => Sign < 0 ? -this : this;

    /// <summary>The largest integer that is not above it.</summary>
    public BigInteger Floor()
    {
        var quotient = BigInteger.DivRem(Numerator, Denominator, out var remainder);
        return remainder.Sign < 0 ? quotient - 1 : quotient;
    }

    /// <exception cref="BeyondEngineException">The power is too large to be written out.</exception>
    public Rational Pow(BigInteger exponent)
    {
        if (IsInteger && (Numerator.IsOne || Numerator.IsZero) && exponent.Sign > 0)
        {
            return this;
        }

        if (BigInteger.Abs(exponent) * Bits > Limits.Bits)
        {
            throw new BeyondEngineException("power too large");
        }

        var power = (int)BigInteger.Abs(exponent);
        var (above, below) = (BigInteger.Pow(Numerator, power), BigInteger.Pow(Denominator, power));
        return exponent.Sign < 0 ? new(below, above) : new(above, below);
    }

    /// <summary>The nearest double; infinite where it is beyond their range.</summary>
    public double ToDouble()
    {
        var shift = (int)Math.Max(0, Math.Max(Numerator.GetBitLength(), Denominator.GetBitLength()) - 900);
        if (shift == 0)
        {
            return (double)Numerator / (double)Denominator;
        }

        var (a, b) = ((int)Numerator.GetBitLength() - 64, (int)Denominator.GetBitLength() - 64);
        return Math.ScaleB((double)Shift(Numerator, a) / (double)Shift(Denominator, b), a - b);

        static BigInteger Shift(BigInteger value, int bits) => bits >= 0 ? value >> bits : value << -bits;
    }

    /// <summary>Reads ASCII digits with at most one point.</summary>
    public static Rational Decimal(string text)
    {
        var point = text.IndexOf('.', StringComparison.Ordinal);
        var places = point < 0 ? 0 : text.Length - point - 1;
        var digits = text.Replace(".", "");
        return new(digits == "" ? 0 : BigInteger.Parse(digits, CultureInfo.InvariantCulture), BigInteger.Pow(10, places));
    }

    public override string ToString() => IsInteger ? $"{Numerator}" : $"{Numerator}/{Denominator}";
}
