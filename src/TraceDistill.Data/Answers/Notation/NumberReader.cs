using System.Globalization;
using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>Reads numbers with what belongs to them: exponents, repeating digits, the fraction of a mixed number, scale words.</summary>
sealed class NumberReader(ExpressionParser parser, TokenCursor tokens)
{
    static readonly Rational Ten = new(10, 1);

    public Expression Read()
    {
        var text = tokens.Next().Text;
        var value = Decimal(text);
        if (text.Contains('.', StringComparison.Ordinal) && tokens.Current.IsCommand("overline"))
        {
            return value + Repeating(text.Length - text.IndexOf('.', StringComparison.Ordinal) - 1);
        }

        if (value.IsInteger && MixedFraction() is { } fraction)
        {
            return value + fraction;
        }

        while (tokens.Current.Kind is TokenKind.Word or TokenKind.Text && NumberWords.Scale(tokens.Current.Text) is { } scale)
        {
            value *= scale;
            tokens.Position++;
        }

        return value;
    }

    /// <summary>Digits under a bar, behind so many decimal places.</summary>
    Rational Repeating(int places)
    {
        tokens.Position++;
        tokens.Expect("{");
        var digits = tokens.Next();
        tokens.Expect("}");
        return digits.Kind == TokenKind.Number && digits.Text.All(char.IsAsciiDigit)
            ? Rational.Decimal(digits.Text) / ((Ten.Pow(digits.Text.Length) - 1) * Ten.Pow(places))
            : throw new BeyondEngineException("a bar over no digits");
    }

    static Rational Decimal(string text)
    {
        var parts = text.Split('e');
        if (parts.Length == 1)
        {
            return Rational.Decimal(text);
        }

        var isShort = int.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var exponent);
        return isShort && Math.Abs(exponent) <= Limits.Bits / 4
            ? Rational.Decimal(parts[0]) * Ten.Pow(exponent)
            : throw new BeyondEngineException("exponent too large");
    }

    /// <summary>The proper fraction of numbers behind a whole number: of <c>2\frac{1}{2}</c> or <c>2 1/2</c>.</summary>
    Rational? MixedFraction()
    {
        var start = tokens.Position;
        Expression? above = null,
            below = null;
        if (tokens.Current.IsCommand("frac"))
        {
            tokens.Position++;
            above = parser.Group();
            below = parser.Group();
        }
        else if (
            tokens.Current is { Kind: TokenKind.Number, IsSpaced: true }
            && tokens.Peek(1).Is("/")
            && tokens.Peek(2).Kind == TokenKind.Number
        )
        {
            (above, below) = (Decimal(tokens.Current.Text), Decimal(tokens.Peek(2).Text));
            tokens.Position += 3;
        }

        if (
            above is NumberExpression { Value: { IsInteger: true, Sign: > 0 } a }
            && below is NumberExpression { Value: { IsInteger: true } b }
            && a.CompareTo(b) < 0
        )
        {
            return a / b;
        }

        tokens.Position = start;
        return null;
    }
}
