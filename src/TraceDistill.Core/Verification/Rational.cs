using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace TraceDistill.Core.Verification;

/// <summary>An exact fraction in lowest terms with a positive denominator.</summary>
readonly partial record struct Rational
{
    /// <summary>Longer texts are no answers but noise, and would be slow to read.</summary>
    const int MaxLength = 200;

    Rational(BigInteger numerator, BigInteger denominator)
    {
        var divisor = BigInteger.GreatestCommonDivisor(numerator, denominator) * denominator.Sign;
        Numerator = numerator / divisor;
        Denominator = denominator / divisor;
    }

    public BigInteger Numerator { get; }

    public BigInteger Denominator { get; }

    /// <summary>
    /// Reads a normalised answer that is one number: <c>-3</c>, <c>1,080.50</c>, <c>.5</c>, <c>3/4</c>, <c>\frac{3}{4}</c>, <c>2 1/2</c>,
    /// <c>1.5e3</c>, <c>1.5 \times 10^{3}</c>, <c>10^3</c>, with <c>million</c> and the like as factors and with units behind it that are passed over.
    /// </summary>
    public static bool TryParse(string text, out Rational value)
    {
        value = default;
        if (text.Length > MaxLength || Number().Match(text) is not { Success: true } match)
            return false;
        var whole = Decimal(match.Groups["whole"].Value);
        var numerator = match.Groups["numerator"];
        if (numerator.Success)
        {
            var (above, below) = (Decimal(numerator.Value), Decimal(match.Groups["denominator"].Value));
            if (below.Numerator.IsZero)
                return false;
            var fraction = new Rational(above.Numerator * below.Denominator, above.Denominator * below.Numerator);
            whole = new Rational(whole.Numerator * fraction.Denominator + fraction.Numerator * whole.Denominator, whole.Denominator * fraction.Denominator);
        }

        var exponent = match.Groups["exponent"].Success ? int.Parse(match.Groups["exponent"].Value, CultureInfo.InvariantCulture) : 0;
        var sign = match.Groups["sign"].Value == "-" ? -1 : 1;
        value = new Rational(
            sign * whole.Numerator * Scale(match.Groups["scale"].Value) * BigInteger.Pow(10, Math.Max(exponent, 0)),
            whole.Denominator * BigInteger.Pow(10, Math.Max(-exponent, 0)));
        return true;
    }

    /// <summary>Digits with thousands commas and at most one point; empty is 0.</summary>
    static Rational Decimal(string text)
    {
        var digits = text.Replace(",", "");
        var point = digits.IndexOf('.', StringComparison.Ordinal);
        var places = point < 0 ? 0 : digits.Length - point - 1;
        digits = digits.Replace(".", "");
        return new Rational(digits == "" ? 0 : BigInteger.Parse(digits, CultureInfo.InvariantCulture), BigInteger.Pow(10, places));
    }

    static BigInteger Scale(string word) => word switch
    {
        "dozen" => 12,
        "hundred" => 100,
        "thousand" => 1_000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => 1,
    };

    const string Digits = @"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)";
    const string Exponent = @"(?:(?<exponent>[-+]?[0-9]{1,3})|\{(?<exponent>[-+]?[0-9]{1,3})\})";

    // A single letter behind a number is a unit only if it is one of metre, gram, litre, second, hour; else it is a variable.
    [GeneratedRegex(
        @"^(?<sign>[-+]?)\s*(?:"
        + @"(?:(?<whole>" + Digits + @")\s*)?\\frac\s*\{(?<numerator>[0-9]+)\}\s*\{(?<denominator>[0-9]+)\}"
        + @"|(?<whole>" + Digits + @") (?<numerator>[0-9]+)\s*/\s*(?<denominator>[0-9]+)"
        + @"|(?<numerator>" + Digits + @"(?:\.[0-9]+)?)\s*/\s*(?<denominator>" + Digits + @"(?:\.[0-9]+)?)"
        + @"|(?<whole>1)0\^" + Exponent
        + @"|(?<whole>" + Digits + @"(?:\.[0-9]*)?|\.[0-9]+)(?:e(?<exponent>[-+]?[0-9]{1,3})|\s*(?:\\times|\\cdot|[×·*])\s*10\^" + Exponent + @")?"
        + @")(?:\s*(?<scale>dozen|hundred|thousand|million|billion|trillion)\b)?"
        + @"(?:\s*(?:[a-z]{2,}|[mglsh](?![a-z]))(?:\^\{?[23]\}?)?(?:[ /.-]+[a-z]+(?:\^\{?[23]\}?)?)*)?$")]
    private static partial Regex Number();
}
