using System.Globalization;
using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Data.Answers;

/// <summary>
/// Reads tokens without brackets and relations around them: numbers and expressions with what stands behind them, times, words.
/// </summary>
static class QuantityReader
{
    /// <summary>A quantity or words; in two ways where letters behind a number may be a unit or variables.</summary>
    public static List<Answer> Read(List<Token> tokens)
    {
        tokens = WithUnitsInLine(tokens);
        var found = new List<Answer>();
        if (
            tokens.All(token => token.Kind is TokenKind.Word or TokenKind.Text || token.Is("-"))
            && NumberWords.TryRead(string.Join(' ', tokens.Select(token => token.Text)), out var number)
        )
        {
            return [new Quantity(number)];
        }

        if (
            tokens is [{ Kind: TokenKind.Word } word]
            && (word.Text.Length > 2 || word.Text.Equals("no", StringComparison.OrdinalIgnoreCase))
        )
        {
            found.Add(Words(tokens)); // a product of variables, or a word
        }

        if (Compound(tokens) is { } compound)
        {
            return [compound];
        }

        if (WithUnit(tokens) is { } measured)
        {
            found.Add(measured);
            if (!measured.IsUnitDoubtful)
            {
                return found;
            }
        }

        try
        {
            found.Add(Plain(tokens));
        }
        catch (BeyondEngineException exception) when (found.Count == 0 && !exception.IsUndefined)
        {
            found.Add(Words(tokens));
        }
        catch (BeyondEngineException) when (found.Count > 0)
        {
            // A unit or a word, and nothing else.
        }

        return found;
    }

    /// <summary>The tokens with fractions of units, <c>\frac{\text{km}}{\text{h}}</c>, as one text, <c>km/h</c>.</summary>
    static List<Token> WithUnitsInLine(List<Token> tokens)
    {
        for (var i = 1; i + 6 < tokens.Count; i++)
        {
            if (
                tokens[i].IsCommand("frac")
                && tokens[i + 1].Is("{")
                && tokens[i + 2].Kind == TokenKind.Text
                && tokens[i + 3].Is("}")
                && tokens[i + 4].Is("{")
                && tokens[i + 5].Kind == TokenKind.Text
                && tokens[i + 6].Is("}")
            )
            {
                return
                [
                    .. tokens[..i],
                    new Token(TokenKind.Text, $"{tokens[i + 2].Text}/{tokens[i + 5].Text}", IsSpaced: true),
                    .. tokens[(i + 7)..],
                ];
            }
        }

        return tokens;
    }

    /// <summary>Numbers in several units of one kind, from the largest on: <c>2 hours 30 minutes</c>, <c>5 ft 3 in</c>.</summary>
    static Quantity? Compound(List<Token> tokens)
    {
        var parts = tokens.Where(token => !token.Is("and")).ToList();
        if (parts.Count is < 4 or > 8 || parts.Count % 2 != 0)
        {
            return null;
        }

        Expression? sum = null;
        var (first, smallest) = ((Unit?)null, (Unit?)null);
        for (var i = 0; i < parts.Count; i += 2)
        {
            if (
                parts[i].Kind != TokenKind.Number
                || parts[i + 1].Kind is not (TokenKind.Text or TokenKind.Word)
                || Unit.Read(parts[i + 1].Text) is not { Dimensions: not null } unit
                || smallest is not null && (unit.Dimensions != smallest.Dimensions || unit.Factor.CompareTo(smallest.Factor) >= 0)
            )
            {
                return null;
            }

            (first, smallest) = (first ?? unit, unit);
            var term = ExpressionParser.Read([parts[i]], out _) * (unit.Factor / first.Factor);
            sum = sum is null ? term : sum + term;
        }

        return new Quantity(sum!) { Unit = first };
    }

    static Answer Plain(List<Token> tokens)
    {
        if (tokens.Count == 0)
        {
            throw new BeyondEngineException("nothing");
        }

        var modulus = tokens.FindIndex(token =>
            token.Kind == TokenKind.Command && token.Text is "pmod" or "mod" or "pod" || token.Kind == TokenKind.Word && token.Text == "mod"
        );
        if (modulus > 0)
        {
            var behind = tokens[(modulus + 1)..];
            var value = tokens[..modulus];
            if (behind.Count == 0)
            {
                throw new BeyondEngineException("a modulus is missing");
            }

            if (value[^1].Is("("))
            {
                (value, behind) = (value[..^1], behind[..^1]);
            }

            return new Residue(ExpressionParser.Read(value, out _), ExpressionParser.Read(behind, out _));
        }

        var at = tokens.FindIndex(token => token.Is("_"));
        if (at == 1 && tokens[0].Kind == TokenKind.Number)
        {
            var index =
                tokens.Count == 3 ? tokens[2..]
                : tokens.Count == 5 && tokens[2].Is("{") && tokens[4].Is("}") ? tokens[3..4]
                : [];
            var text = index is [{ Kind: TokenKind.Number or TokenKind.Text or TokenKind.Word } only]
                ? only.Text
                : throw new BeyondEngineException("a number with an index");
            var name = NumberWords.TryRead(text, out var spelled) ? spelled.ToString() : text;
            return new Quantity(ExpressionParser.Read([tokens[0]], out _)) { Base = name };
        }

        var isPercent = tokens[^1].Is("%") && tokens.Count > 1;
        var isDegrees = false;
        var end = tokens.Count;
        if (isPercent)
        {
            end--;
        }
        else if (tokens.Count > 4 && tokens[^1].Is("}") && tokens[^2].Is("°") && tokens[^3].Is("{") && tokens[^4].Is("^"))
        {
            (isDegrees, end) = (true, end - 4);
        }
        else if (tokens.Count > 1 && tokens[^1].Is("°"))
        {
            (isDegrees, end) = (true, tokens[^2].Is("^") ? end - 2 : end - 1);
        }

        // Only a lone value is in percent or degrees; of a sum each term may be.
        if (isDegrees && tokens.Take(end).Any(token => token.Is("°") || token.Kind == TokenKind.Function) || end == 0)
        {
            (isDegrees, end) = (false, tokens.Count);
        }

        return new Quantity(ExpressionParser.Read(tokens[..end], out var isAmbiguous))
        {
            IsPercent = isPercent,
            IsDegrees = isDegrees,
            IsAmbiguous = isAmbiguous,
        };
    }

    /// <summary>
    /// A value with a unit, or with words for what is counted, behind it or a currency sign before it; null where there is none.
    /// </summary>
    static Quantity? WithUnit(List<Token> tokens)
    {
        var sign = tokens.FindIndex(token => token.Is("$"));
        if (sign is 0 or 1 && tokens.Count > sign + 1 && (sign == 0 || tokens[0].Is("-")))
        {
            var rest = tokens.Where((_, index) => index != sign).ToList();
            var amount = WithUnit(rest) is { Unit.Dimensions: null } noun ? noun : Plain(rest) as Quantity;
            return amount is null ? null : amount with { Unit = Unit.Dollar };
        }

        if (tokens[0].Kind == TokenKind.Text && tokens.Count > 1 && Unit.Read(tokens[0].Text) is { Dimensions: not null } leading)
        {
            return Plain(tokens[1..]) as Quantity is { } value ? value with { Unit = leading } : null;
        }

        for (var at = 1; at < tokens.Count; at++)
        {
            if (tokens[at].Kind is TokenKind.Text or TokenKind.Word && IsUnit(tokens, at, out var text) && Unit.Read(text) is { } unit)
            {
                var value = tokens[..at];
                var isDegrees = unit.Dimensions == "angle^1";
                var isDoubtful =
                    tokens[at].Kind == TokenKind.Word
                    && tokens[at..].All(token => token.Kind != TokenKind.Text)
                    && Unit.IsDoubtful(tokens[at].Text, tokens[at].IsSpaced);
                if (value is [.., _, { Text: "°" }] && tokens[at].Text is "C" or "F" or "K" or "c" or "f")
                {
                    value = value[..^(value[^2].Is("^") ? 2 : 1)];
                    unit = new Unit(1, $"°{tokens[at].Text}");
                    isDoubtful = false;
                }

                if (value is [.., var last] && (last.Is("-") && value.Count > 1 || last.Is("*")))
                {
                    value = value[..^1]; // 12-inch
                }

                try
                {
                    return Plain(value) is Quantity quantity
                        ? isDegrees
                            ? quantity with
                            {
                                IsDegrees = true,
                            }
                            : quantity with
                            {
                                Unit = unit,
                                IsUnitDoubtful = isDoubtful,
                            }
                        : null;
                }
                catch (BeyondEngineException exception) when (!exception.IsUndefined)
                {
                    return null;
                }
            }
        }

        return null;
    }

    /// <summary>Returns whether everything from here on is a unit, and how it reads.</summary>
    static bool IsUnit(List<Token> tokens, int from, out string text)
    {
        text = "";
        var (isNumeric, isScale) = (true, false);
        foreach (var token in tokens.Take(from))
        {
            isNumeric &= token.Kind is not (TokenKind.Word or TokenKind.Text) || NumberWords.Scale(token.Text) is not null;
        }

        for (var i = from; i < tokens.Count; i++)
        {
            var token = tokens[i];
            isScale = NumberWords.Scale(token.Text) is not null;
            switch (token.Kind)
            {
                case TokenKind.Text when !isScale && (token.Text.Length > 1 || isNumeric):
                case TokenKind.Word when !isScale && isNumeric && (i > from || Unit.IsLikely(token.Text, token.IsSpaced)):
                    text += $" {token.Text}";
                    break;
                case TokenKind.Number when tokens[i - 1].Is("^") || tokens[i - 1].Is("{") || tokens[i - 1].Is("-"):
                    text += token.Text;
                    break;
                case TokenKind.Symbol when i > from && token.Text is "^" or "-" or "/" or "*" or "." or "{" or "}" or "(" or ")":
                    text += token.Text is "{" or "}" ? "" : token.Text;
                    break;
                default:
                    return false;
            }
        }

        return text != "";
    }

    /// <summary>A time or a ratio; null where it is none.</summary>
    public static Clock? ClockOf(List<Token> tokens)
    {
        var words = tokens.Where(token => token.Kind is TokenKind.Word or TokenKind.Text);
        var half = string.Concat(words.Select(token => token.Text.ToLowerInvariant().Replace(".", "").Replace(" ", "")));
        var rest = tokens.Where(token => token.Kind is not (TokenKind.Word or TokenKind.Text) && !token.Is(".")).ToList();
        if (half is not ("" or "am" or "pm") || rest.Count is not (3 or 5) && !(rest.Count == 1 && half != ""))
        {
            return null;
        }

        for (var i = 0; i < rest.Count; i++)
        {
            var isNumber = rest[i].Kind == TokenKind.Number && rest[i].Text.Length <= 8 && rest[i].Text.TrimEnd('.').All(char.IsAsciiDigit);
            if (i % 2 == 1 ? !rest[i].Is(":") : !isNumber)
            {
                return null;
            }
        }

        var numbers = rest.Where((_, i) => i % 2 == 0).Select(token => token.Text.TrimEnd('.')).ToList();
        var isTime =
            half != "" || numbers.Skip(1).All(number => number.Length == 2) && int.Parse(numbers[1], CultureInfo.InvariantCulture) < 60;
        var parts = numbers.Select(number => int.Parse(number, CultureInfo.InvariantCulture));
        return new Clock([.. parts, .. numbers.Count == 1 ? [0] : Array.Empty<int>()], isTime, half);
    }

    /// <summary>An answer in words. Formulas are none: what the parser does not understand in LaTeX is beyond it.</summary>
    public static Answer Words(List<Token> tokens)
    {
        if (
            !tokens.Any(token => token.Kind is TokenKind.Word or TokenKind.Text or TokenKind.Name)
            || tokens.Any(token =>
                token.Kind == TokenKind.Command || token.Is("^") || token.Is("_") || token.Is("{") || token.Kind == TokenKind.Function
            )
        )
        {
            throw new BeyondEngineException("neither a formula nor words");
        }

        var words = tokens
            .Where(token => token.Kind != TokenKind.Symbol || token.Text is "=" or "<" or ">" or "-" or "+" or "/" or "*" or ":")
            .SelectMany(token => token.Text.ToLowerInvariant().Split([' ', '.', '\''], StringSplitOptions.RemoveEmptyEntries))
            .Where(word => word is not ("the" or "a" or "an"))
            .ToList();
        return string.Join(' ', words.Where((word, place) => !IsOrdinalEnding(words, place))) switch
        {
            "all real numbers" or "all reals" or "all real x" or "real numbers" => RealSets.All,
            "no solution" or "no solutions" or "no real solution" or "no real solutions" or "empty set" => new Wording("emptyset"),
            "dne" => new Wording("does not exist"),
            var text => new Wording(text),
        };
    }

    /// <summary>The letters behind a number that make it an ordinal one: June 5th is June 5.</summary>
    static bool IsOrdinalEnding(List<string> words, int place) =>
        place > 0 && char.IsAsciiDigit(words[place - 1][^1]) && words[place] is ("st" or "nd" or "rd" or "th");
}
