using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Data.Answers;

/// <summary>One way to read an answer.</summary>
/// <param name="IsWeak">True where it is too unusual to be more than a doubt: a decimal comma, a list where thousands are parted.</param>
readonly record struct Reading(Answer Answer, bool IsWeak);

/// <summary>Reads answers in LaTeX or plain text into typed values.</summary>
static class AnswerReader
{
    static readonly string[] Relations = ["=", "<", ">", "<=", ">=", "!=", "∈", "≈", "≡"];

    /// <summary>Every way to read an answer; none where it is beyond the engine. <c>100,200</c> is a number and a list.</summary>
    public static IReadOnlyList<Reading> Read(string text)
    {
        var readings = new List<Reading>();
        if (text.Length > Limits.Characters)
        {
            return readings;
        }

        var known = new List<IReadOnlyList<Token>>();
        foreach (var commas in Enum.GetValues<CommaReading>())
        {
            try
            {
                var tokens = Lexer.Read(text, commas);
                if (known.Exists(other => other.SequenceEqual(tokens)))
                {
                    continue;
                }

                known.Add(tokens);
                TokenSpans.CheckDepth(tokens);
                foreach (var answer in Whole(TokenSpans.WithoutQualifier(TokenSpans.Trim([.. tokens]))))
                {
                    // 1,200 may be a list, but a number is what it says first.
                    var isWeak = commas == CommaReading.Decimal || commas == CommaReading.List && readings is [{ Answer: Quantity }, ..];
                    readings.Add(new Reading(answer, isWeak));
                }
            }
            catch (BeyondEngineException)
            {
                // Another reading may do.
            }
        }

        return readings;
    }

    /// <summary>A list, or one item.</summary>
    static IEnumerable<Answer> Whole(List<Token> tokens)
    {
        if (tokens.Count == 0)
        {
            throw new BeyondEngineException("nothing");
        }

        if (SpacedNumbers(tokens) is { } spaced)
        {
            return [spaced];
        }

        var items = TokenSpans
            .Split(tokens, token => token.Is(",") || token.Is(";") || token.Is("and") || token.Is("or"), out var separators)
            .Select(TokenSpans.Trim)
            .Where(item => item.Count > 0)
            .ToList();
        return items.Count == 1 ? Item(items[0]) : [List(items, separators)];
    }

    static Answer List(List<List<Token>> items, List<string> separators)
    {
        if (items.Count == 0)
        {
            throw new BeyondEngineException("nothing");
        }

        var answers = items.Select(item => Item(item).Last()).ToList();
        if (answers.All(answer => answer is RealSet))
        {
            var sets = answers.Cast<RealSet>().ToList();
            if (sets.All(set => set.Variable is not null && set.Variable == sets[0].Variable))
            {
                return separators.Contains("or")
                    ? new RealSet([.. sets.SelectMany(set => set.Parts)], sets[0].Variable)
                    : RealSets.Intersect(sets);
            }
        }

        // n = 2, 3, 4 names all of them; x = 1 or x = 2 says it each time.
        if (answers.All(answer => answer is Assignment) && answers.Cast<Assignment>().Select(answer => answer.Name).Distinct().Count() == 1)
        {
            return new AnswerList([.. answers.Select(answer => ((Assignment)answer).Value)], IsBraced: false, IsOrdered: false);
        }

        if (answers is [Assignment first, ..] && answers.Skip(1).All(answer => answer is Quantity or Tuple))
        {
            answers[0] = first.Value;
        }

        return new AnswerList([.. answers.SelectMany(Flat)], IsBraced: false, IsOrdered: false);
    }

    /// <summary>The two values of a ± stand in a list as themselves.</summary>
    static IEnumerable<Answer> Flat(Answer answer) => answer is AnswerList { IsBraced: false } list ? list.Items : [answer];

    /// <summary>Numbers with only spaces between, which are a list in their order: <c>12 19 45</c>, <c>-5 -3 2</c>.</summary>
    static AnswerList? SpacedNumbers(List<Token> tokens)
    {
        var items = new List<Answer>();
        for (var i = 0; i < tokens.Count; i++)
        {
            var isNegative = tokens[i].Is("-") && (i == 0 || tokens[i].IsSpaced) && i + 1 < tokens.Count && !tokens[i + 1].IsSpaced;
            i += isNegative ? 1 : 0;
            if (
                tokens[i].Kind != TokenKind.Number
                || !isNegative && i > 0 && !tokens[i].IsSpaced
                || i + 1 < tokens.Count && tokens[i + 1].Is("/")
            )
            {
                return null;
            }

            var number = ExpressionParser.Read([tokens[i]], out _);
            items.Add(new Quantity(isNegative ? -number : number));
        }

        return items.Count > 1 ? new AnswerList(items, IsBraced: false, IsOrdered: true) : null;
    }

    /// <summary>An equation, an inequality, a membership, or a value.</summary>
    static IEnumerable<Answer> Item(List<Token> tokens)
    {
        var parts = TokenSpans.Split(tokens, token => token.Kind == TokenKind.Symbol && Relations.Contains(token.Text), out var operators);
        if (parts.Count == 1)
        {
            return Values(tokens);
        }

        if (parts.Any(part => part.Count == 0))
        {
            return [QuantityReader.Words(tokens)];
        }

        if (operators.All(symbol => symbol is "=" or "≈"))
        {
            return Equation(parts, operators);
        }

        return operators switch
        {
            ["∈"] => [Whole(parts[1]).Last() is var set && RealSets.AsRealSet(set) is { } real ? real with { Variable = null } : set],
            ["≡"] => [Value(parts[1])],
            _ => [Inequality(parts, operators)],
        };
    }

    static IEnumerable<Answer> Equation(List<List<Token>> parts, List<string> operators)
    {
        var name = NameOf(parts[0]);
        var from = name is null ? 0 : 1;
        if (operators.Contains("≈") && (from == 1 || parts.Count == 2) && parts.Skip(from).All(part => !TokenSpans.Has(part, "±")))
        {
            var values = parts.Skip(from).Select(part => Values(part).Last()).ToList();
            return [values.Count == 1 ? values[0] : new Approximation(values)];
        }

        if (name is not null)
        {
            var left = TryExpression(parts[0]);
            return Whole(parts[^1]).Select(value => new Assignment(name, left, value));
        }

        var sides = parts.Select(TryExpression).ToList();
        if (sides.All(side => side is not null && !side.Variables().Any()))
        {
            return Values(parts[^1]);
        }

        // The name may stand on the right: 3 = x.
        if (parts.Count == 2 && NameOf(parts[1]) is { } behind && sides[0] is { } value1 && !value1.Variables().Any())
        {
            return [new Assignment(behind, sides[1], Value(parts[0]))];
        }

        if (parts.Count == 2 && sides[0] is { } first && sides[1] is { } second)
        {
            return [new Relation(first, "=", second)];
        }

        // A sum with the calculation behind it: a + b = 1 + 2 = 3.
        return parts.Count > 2 && sides.Skip(1).All(side => side is not null && !side.Variables().Any())
            ? Values(parts[^1])
            : throw new BeyondEngineException("a chain of equations");
    }

    static Expression? TryExpression(List<Token> tokens)
    {
        try
        {
            return ExpressionParser.Read(tokens, out _);
        }
        catch (BeyondEngineException)
        {
            return null;
        }
    }

    /// <summary>
    /// The name on a left side: one symbol, a function of something, words, points, a tuple of symbols; null where it is an expression.
    /// </summary>
    static string? NameOf(List<Token> tokens)
    {
        var head = tokens[0];
        var spelling = string.Concat(tokens.Select(token => token.Text));
        if (head.Kind is TokenKind.Name or TokenKind.Word or TokenKind.Text)
        {
            if (head.Kind == TokenKind.Name && head.Text is "pi" or "infinity" && tokens.Count == 1)
            {
                return null;
            }

            if (tokens.All(token => token.Kind is TokenKind.Word or TokenKind.Text))
            {
                var isSymbol = tokens.Count == 1 && (head.Text.Length == 1 || head.Text.All(char.IsUpper) || head.Kind == TokenKind.Text);
                return isSymbol || tokens.Any(token => token.Kind == TokenKind.Text || token.Text.Length >= 4) ? spelling : null;
            }

            if (head.Kind == TokenKind.Name && head.Text is "angle" or "triangle" || tokens.Count == 1)
            {
                return spelling;
            }

            var isOneSymbol = head.Kind == TokenKind.Name || head.Text.Length == 1 || head.Text.All(char.IsUpper);
            if (
                isOneSymbol
                && (
                    IsInverse(tokens)
                    || tokens[1].Is("_")
                    || tokens[1].Is("'")
                    || tokens[1].Is("(") && (head.Text.Any(char.IsUpper) || "fghpqruvy".Contains(head.Text[0], StringComparison.Ordinal))
                )
            )
            {
                var rest = tokens.Skip(IsInverse(tokens) ? 6 : 1).SkipWhile(token => token.Is("'")).ToList();
                return
                    rest.Count == 0
                    || rest[0].Is("_") && rest.Count > 1 && (rest.Count == 2 || rest[1].Is("{") && TokenSpans.Closes(rest, 1))
                    || rest[0].Is("(") && TokenSpans.Closes(rest, 0)
                    ? spelling
                    : null;
            }
        }

        if (
            head.Is("(")
            && TokenSpans.Closes(tokens, 0)
            && tokens
                .Skip(1)
                .SkipLast(1)
                .All(token =>
                    token.Is(",")
                    || token.Kind is TokenKind.Word or TokenKind.Name && token.Text.Length == 1
                    || token.Is("_")
                    || token.Kind == TokenKind.Number
                )
        )
        {
            return tokens.Any(token => token.Is(",")) ? spelling : null;
        }

        return
            head.IsCommand("overline")
            || head.Is("|") && tokens.All(token => token.Is("|") || token.Kind == TokenKind.Word && token.Text.All(char.IsUpper))
            ? spelling
            : null;
    }

    /// <summary>Returns whether it begins as an inverse function, f^{-1}.</summary>
    static bool IsInverse(List<Token> tokens) =>
        tokens.Count > 6
        && tokens[0].Text.Length == 1
        && tokens[1].Is("^")
        && tokens[2].Is("{")
        && tokens[3].Is("-")
        && tokens[4].Text == "1"
        && tokens[5].Is("}")
        && tokens[6].Is("(");

    static Answer Inequality(List<List<Token>> parts, List<string> operators)
    {
        var sides = parts.Select(part => ExpressionParser.Read(part, out _)).ToList();
        if (operators.All(symbol => symbol is ">" or ">="))
        {
            sides.Reverse();
            operators = [.. operators.Select(symbol => symbol.Replace('>', '<')).Reverse()];
        }

        if (!operators.All(symbol => symbol is "<" or "<=") && operators is not ["!="])
        {
            throw new BeyondEngineException("a mixed chain of relations");
        }

        var names = sides.SelectMany(side => side.Variables()).Distinct().ToList();
        var middle = sides.FindIndex(side => side is SymbolExpression symbol && names is [var only] && symbol.Name == only);
        var others = sides.Where((_, index) => index != middle);
        if (middle < 0 || others.Any(side => side.Variables().Any()))
        {
            return sides.Count == 2
                ? new Relation(sides[0], operators[0], sides[1])
                : throw new BeyondEngineException("a chain of inequalities");
        }

        var (low, high) = (-(Expression)RealSets.Infinity, (Expression)RealSets.Infinity);
        if (operators is ["!="])
        {
            var hole = others.Single();
            return new RealSet([new(low, hole, false, false), new(hole, high, false, false)], names[0]);
        }

        if (middle > 1 || middle < sides.Count - 2)
        {
            throw new BeyondEngineException("a chain of inequalities");
        }

        var (below, above) = (middle > 0 ? sides[middle - 1] : null, middle + 1 < sides.Count ? sides[middle + 1] : null);
        return new RealSet(
            [
                new(
                    below ?? low,
                    above ?? high,
                    below is not null && operators[middle - 1] == "<=",
                    above is not null && operators[middle] == "<="
                ),
            ],
            names[0]
        );
    }

    static Answer Value(List<Token> tokens) => Values(tokens).Last();

    /// <summary>A value without relation; in two ways where letters behind a number may be a unit or variables.</summary>
    static List<Answer> Values(List<Token> tokens)
    {
        tokens = TokenSpans.Trim(tokens);
        if (tokens.Count == 0)
        {
            throw new BeyondEngineException("nothing");
        }

        if (TokenSpans.Has(tokens, "∪") && TokenSpans.Split(tokens, token => token.Is("∪"), out _) is { Count: > 1 } united)
        {
            return [RealSets.Union([.. united.Select(Value)])];
        }

        if (TokenSpans.Has(tokens, "∖") || TokenSpans.Has(tokens, "∩"))
        {
            return [RealSets.Without(TokenSpans.Split(tokens, token => token.Is("∖"), out _), Value)];
        }

        if (tokens[0].Kind == TokenKind.Name && tokens[0].Text == "mathbb R" && tokens.Count == 1)
        {
            return [RealSets.All];
        }

        if (Bracketed(tokens) is { } bracketed)
        {
            return [bracketed];
        }

        if (QuantityReader.ClockOf(tokens) is { } clock)
        {
            return [clock];
        }

        return TokenSpans.Has(tokens, "±") || TokenSpans.Has(tokens, "∓") ? [BothSigns(tokens)] : QuantityReader.Read(tokens);
    }

    /// <summary>A matrix, a tuple, a set; null where the brackets are those of an expression.</summary>
    static Answer? Bracketed(List<Token> tokens)
    {
        if (
            tokens[0].Kind == TokenKind.Command
            && tokens[0].Text.StartsWith("begin ", StringComparison.Ordinal)
            && TokenSpans.Closes(tokens, 0)
        )
        {
            return MatrixOf(tokens);
        }

        // ]0, 1[ is no bracket that closes.
        if (
            tokens.Count < 2
            || !(tokens[0].Is("(") || tokens[0].Is("[") || tokens[0].Is("\\{") || tokens[0].Is("⟨") || tokens[0].Is("{"))
            || !TokenSpans.Closes(tokens, 0)
        )
        {
            return null;
        }

        var inner = tokens[1..^1];
        if (tokens[0].Is("(") && tokens[^1].Is(")") && inner.Count > 0 && !inner.Any(token => token.Is(",") || token.Is(";")))
        {
            return Bracketed(inner)
                ?? (inner.Any(token => token.Kind == TokenKind.Symbol && Relations.Contains(token.Text)) ? Item(inner).Last() : null);
        }

        if (tokens[0].Is("{"))
        {
            return Whole(inner).Last();
        }

        if (tokens[0].Is("\\{"))
        {
            if (
                TokenSpans.Split(inner, token => token.Is(":") || token.Is("mid") || token.Is("|"), out _) is { Count: 2 } builder
                && builder.All(part => part.Count > 0)
            )
            {
                return Whole(builder[1]).Last();
            }

            return inner.Count == 0 ? new Wording("emptyset") : new AnswerList(Items(inner), IsBraced: true, IsOrdered: false);
        }

        if (inner.Count == 0)
        {
            throw new BeyondEngineException("empty brackets");
        }

        var items = Items(inner);
        return items.Count == 1 && !tokens[0].Is("⟨") ? items[0] : new Tuple(tokens[0].Text, tokens[^1].Text, items);
    }

    static List<Answer> Items(List<Token> tokens) =>
        [.. TokenSpans.Split(tokens, token => token.Is(",") || token.Is(";"), out _).Select(Value)];

    static Answer MatrixOf(List<Token> tokens)
    {
        var lines = TokenSpans.Split(tokens[1..^1], token => token.Is("\\\\"), out _).Where(row => row.Count > 0).ToList();
        if (
            tokens[0].Text
                is "begin aligned"
                    or "begin align"
                    or "begin align*"
                    or "begin gathered"
                    or "begin split"
                    or "begin equation"
                    or "begin equation*"
            && lines.Count == 1
        )
        {
            return Item([.. lines[0].Where(token => !token.Is("&"))]).Last(); // set as a display and no matrix
        }

        if (
            tokens[0].Text
            is not ("begin pmatrix" or "begin bmatrix" or "begin matrix" or "begin Bmatrix" or "begin array" or "begin smallmatrix")
        )
        {
            throw new BeyondEngineException($"the environment {tokens[0].Text}");
        }

        var rows = lines
            .Select(row => (IReadOnlyList<Answer>)[.. TokenSpans.Split(row, token => token.Is("&"), out _).Select(Value)])
            .ToList();
        if (rows is [[var only]] && tokens[0].Text is "begin array" or "begin matrix")
        {
            return only;
        }

        return rows.Count == 0 || rows.Any(row => row.Count != rows[0].Count)
            ? throw new BeyondEngineException("a matrix of uneven rows")
            : new Matrix(rows);
    }

    /// <summary>Both values of an expression with ±, those with ∓ the other way round.</summary>
    static AnswerList BothSigns(List<Token> tokens)
    {
        return new AnswerList([Signed("+", "-"), Signed("-", "+")], IsBraced: false, IsOrdered: false);

        Answer Signed(string upper, string lower) =>
            QuantityReader
                .Read([
                    .. tokens.Select(token =>
                        token.Is("±") ? token with { Text = upper }
                        : token.Is("∓") ? token with { Text = lower }
                        : token
                    ),
                ])
                .Last();
    }
}
