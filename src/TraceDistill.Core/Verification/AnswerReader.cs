using System.Globalization;
using TraceDistill.Core.Verification.Algebra;
using TraceDistill.Core.Verification.Notation;

namespace TraceDistill.Core.Verification;

/// <summary>One way to read an answer.</summary>
/// <param name="IsWeak">Whether it is too unusual to be more than a doubt: a decimal comma.</param>
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
                CheckDepth(tokens);
                foreach (var answer in Whole(Trim([.. tokens])))
                {
                    readings.Add(new Reading(answer, commas == CommaReading.Decimal));
                }
            }
            catch (BeyondEngineException)
            {
                // Another reading may do.
            }
        }

        return readings;
    }

    static void CheckDepth(IReadOnlyList<Token> tokens)
    {
        var depth = 0;
        foreach (var token in tokens)
        {
            depth += Depth(token);
            if (depth > Limits.Depth)
            {
                throw new BeyondEngineException("nested too deeply");
            }
        }
    }

    static List<Token> Trim(List<Token> tokens)
    {
        while (tokens.Count > 0 && (tokens[^1].Is(".") || tokens[^1].Is(",") || tokens[^1].Is(";") || tokens[^1].Is("and") || tokens[^1].Is("\\\\")))
        {
            tokens.RemoveAt(tokens.Count - 1);
        }

        while (tokens.Count > 1 && (tokens[0].Is(",") || tokens[0].Is("and") || tokens[0].Is(":") || tokens[0].Is("≈")
            || tokens[0].Kind is TokenKind.Word or TokenKind.Text && tokens[0].Text.ToLowerInvariant() is "about" or "approximately" or "exactly" or "roughly"))
        {
            tokens.RemoveAt(0);
        }

        return tokens;
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

        var items = Split(tokens, token => token.Is(",") || token.Is(";") || token.Is("and") || token.Is("or"), out var separators)
            .Select(Trim).Where(item => item.Count > 0).ToList();
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
                return separators.Contains("or") ? new RealSet([.. sets.SelectMany(set => set.Parts)], sets[0].Variable) : Intersect(sets);
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

    static RealSet Intersect(List<RealSet> sets)
    {
        var result = sets[0].Parts;
        foreach (var set in sets.Skip(1))
        {
            result = [.. from a in result from b in set.Parts select Common(a, b) into part where part is not null select part];
        }

        return new RealSet(result, sets[0].Variable);
    }

    static Interval? Common(Interval a, Interval b)
    {
        var low = Value(a.Low) > Value(b.Low) || Value(a.Low) == Value(b.Low) && !a.IsLowClosed ? a : b;
        var high = Value(a.High) < Value(b.High) || Value(a.High) == Value(b.High) && !a.IsHighClosed ? a : b;
        var (from, to) = (Value(low.Low), Value(high.High));
        return from > to || from == to && !(low.IsLowClosed && high.IsHighClosed) ? null : new Interval(low.Low, high.High, low.IsLowClosed, high.IsHighClosed);
    }

    static double Value(Expression expression) => NumericEvaluation.Real(expression) ?? throw new BeyondEngineException("a bound that is no number");

    /// <summary>Numbers with only spaces between, which are a list in their order: <c>12 19 45</c>, <c>-5 -3 2</c>.</summary>
    static AnswerList? SpacedNumbers(List<Token> tokens)
    {
        var items = new List<Answer>();
        for (var i = 0; i < tokens.Count; i++)
        {
            var isNegative = tokens[i].Is("-") && (i == 0 || tokens[i].IsSpaced) && i + 1 < tokens.Count && !tokens[i + 1].IsSpaced;
            i += isNegative ? 1 : 0;
            if (tokens[i].Kind != TokenKind.Number || !isNegative && i > 0 && !tokens[i].IsSpaced || i + 1 < tokens.Count && tokens[i + 1].Is("/"))
            {
                return null;
            }

            var number = ExpressionParser.Read([tokens[i]], out _);
            items.Add(new Quantity(isNegative ? -number : number));
        }

        return items.Count > 1 ? new AnswerList(items, IsBraced: false, IsOrdered: true) : null;
    }

    /// <summary>Parts tokens where no bracket is open.</summary>
    static List<List<Token>> Split(List<Token> tokens, Func<Token, bool> isSeparator, out List<string> separators)
    {
        var parts = new List<List<Token>> { new() };
        separators = [];
        var depth = 0;
        foreach (var token in tokens)
        {
            depth += Depth(token);
            if (depth == 0 && isSeparator(token))
            {
                separators.Add(token.Text);
                parts.Add([]);
            }
            else
            {
                parts[^1].Add(token);
            }
        }

        return parts;
    }

    static int Depth(Token token) => token.Kind switch
    {
        TokenKind.Command when token.Text.StartsWith("begin ", StringComparison.Ordinal) => 1,
        TokenKind.Command when token.Text.StartsWith("end ", StringComparison.Ordinal) => -1,
        TokenKind.Symbol when token.Text is "(" or "[" or "{" or "\\{" or "⟨" => 1,
        TokenKind.Symbol when token.Text is ")" or "]" or "}" or "\\}" or "⟩" => -1,
        _ => 0,
    };

    /// <summary>An equation, an inequality, a membership, or a value.</summary>
    static IEnumerable<Answer> Item(List<Token> tokens)
    {
        var parts = Split(tokens, token => token.Kind == TokenKind.Symbol && Relations.Contains(token.Text), out var operators);
        if (parts.Count == 1)
        {
            return Values(tokens);
        }

        if (parts.Any(part => part.Count == 0))
        {
            return [Words(tokens)];
        }

        if (operators.All(symbol => symbol is "=" or "≈"))
        {
            return Equation(parts, operators);
        }

        return operators switch
        {
            ["∈"] => [Whole(parts[1]).Last() is var set && AsRealSet(set) is { } real ? real with { Variable = null } : set],
            ["≡"] => [Value(parts[1])],
            _ => [Inequality(parts, operators)],
        };
    }

    static IEnumerable<Answer> Equation(List<List<Token>> parts, List<string> operators)
    {
        var name = NameOf(parts[0]);
        var from = name is null ? 0 : 1;
        if (operators.Contains("≈") && (from == 1 || parts.Count == 2) && parts.Skip(from).All(part => !Has(part, "±")))
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

        return parts.Count == 2 && sides[0] is { } first && sides[1] is { } second
            ? [new Relation(first, "=", second)]
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

    /// <summary>What a left side names: one symbol, a function of something, words, points, a tuple of symbols; null where it is an expression.</summary>
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
            if (isOneSymbol && (IsInverse(tokens) || tokens[1].Is("_") || tokens[1].Is("'") || tokens[1].Is("(") && (head.Text.Any(char.IsUpper) || "fghpqruvy".Contains(head.Text[0], StringComparison.Ordinal))))
            {
                var rest = tokens.Skip(IsInverse(tokens) ? 6 : 1).SkipWhile(token => token.Is("'")).ToList();
                return rest.Count == 0 || rest[0].Is("_") && rest.Count > 1 && (rest.Count == 2 || rest[1].Is("{") && Closes(rest, 1)) || rest[0].Is("(") && Closes(rest, 0) ? spelling : null;
            }
        }

        if (head.Is("(") && Closes(tokens, 0) && tokens.Skip(1).SkipLast(1).All(token => token.Is(",") || token.Kind is TokenKind.Word or TokenKind.Name && token.Text.Length == 1 || token.Is("_") || token.Kind == TokenKind.Number))
        {
            return tokens.Any(token => token.Is(",")) ? spelling : null;
        }

        return head.IsCommand("overline") || head.Is("|") && tokens.All(token => token.Is("|") || token.Kind == TokenKind.Word && token.Text.All(char.IsUpper)) ? spelling : null;
    }

    /// <summary>Whether it begins as an inverse function, f^{-1}.</summary>
    static bool IsInverse(List<Token> tokens) =>
        tokens.Count > 6 && tokens[0].Text.Length == 1 && tokens[1].Is("^") && tokens[2].Is("{") && tokens[3].Is("-") && tokens[4].Text == "1" && tokens[5].Is("}")
        && tokens[6].Is("(");

    /// <summary>Whether the bracket at an index is closed by the last token.</summary>
    static bool Closes(List<Token> tokens, int at)
    {
        var depth = 0;
        for (var i = at; i < tokens.Count; i++)
        {
            depth += Depth(tokens[i]);
            if (depth == 0)
            {
                return i == tokens.Count - 1;
            }
        }

        return false;
    }

    static bool Has(List<Token> tokens, string symbol) => tokens.Any(token => token.Is(symbol));

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
            return sides.Count == 2 ? new Relation(sides[0], operators[0], sides[1]) : throw new BeyondEngineException("a chain of inequalities");
        }

        var (low, high) = (-(Expression)Infinity, (Expression)Infinity);
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
            [new(below ?? low, above ?? high, below is not null && operators[middle - 1] == "<=", above is not null && operators[middle] == "<=")], names[0]);
    }

    static SymbolExpression Infinity { get; } = new(SymbolExpression.Infinity);

    static Answer Value(List<Token> tokens) => Values(tokens).Last();

    /// <summary>A value without relation; in two ways where letters behind a number may be a unit or variables.</summary>
    static List<Answer> Values(List<Token> tokens)
    {
        tokens = Trim(tokens);
        if (tokens.Count == 0)
        {
            throw new BeyondEngineException("nothing");
        }

        if (Has(tokens, "∪") && Split(tokens, token => token.Is("∪"), out _) is { Count: > 1 } united)
        {
            return [Union([.. united.Select(Value)])];
        }

        if (Has(tokens, "∖") || Has(tokens, "∩"))
        {
            return [Without(tokens)];
        }

        if (tokens[0].Kind == TokenKind.Name && tokens[0].Text == "mathbb R" && tokens.Count == 1)
        {
            return [new RealSet([new(-(Expression)Infinity, Infinity, false, false)], null)];
        }

        if (Bracketed(tokens) is { } bracketed)
        {
            return [bracketed];
        }

        if (ClockOf(tokens) is { } clock)
        {
            return [clock];
        }

        return Has(tokens, "±") || Has(tokens, "∓") ? [BothSigns(tokens)] : Quantities(tokens);
    }

    static Answer Union(List<Answer> parts)
    {
        if (parts.All(part => part is AnswerList { IsBraced: true }))
        {
            return new AnswerList([.. parts.SelectMany(part => ((AnswerList)part).Items)], IsBraced: true, IsOrdered: false);
        }

        return new RealSet([.. parts.SelectMany(part => (AsRealSet(part) ?? throw new BeyondEngineException("a union of other things")).Parts)], null);
    }

    /// <summary>The reals without some points.</summary>
    static RealSet Without(List<Token> tokens)
    {
        var parts = Split(tokens, token => token.Is("∖"), out _);
        if (parts.Count != 2 || parts.Any(part => part.Count == 0) || AsRealSet(Value(parts[0])) is not { Parts: [var all] } || Value(parts[1]) is not AnswerList { IsBraced: true } points)
        {
            throw new BeyondEngineException("a difference of sets");
        }

        var holes = points.Items.Select(item => item is Quantity { Unit: null } quantity ? quantity.Value : throw new BeyondEngineException("a difference of sets")).OrderBy(Value).ToList();
        if (holes.Any(hole => !(Value(hole) > Value(all.Low) && Value(hole) < Value(all.High))))
        {
            throw new BeyondEngineException("a difference of sets");
        }

        List<Expression> bounds = [all.Low, .. holes, all.High];
        return new RealSet(
            [.. Enumerable.Range(0, bounds.Count - 1).Select(i => new Interval(bounds[i], bounds[i + 1], i == 0 && all.IsLowClosed, i == bounds.Count - 2 && all.IsHighClosed))], null);
    }

    /// <summary>A tuple of two in round or square brackets is an interval to those who compare it with one.</summary>
    public static RealSet? AsRealSet(Answer answer) => answer switch
    {
        RealSet set => set,
        Tuple { Items: [Quantity { Unit: null } low, Quantity { Unit: null } high], Open: "(" or "[" } pair =>
            new RealSet([new(low.Value, high.Value, pair.Open == "[", pair.Close == "]")], null),
        AnswerList { IsBraced: true } points when points.Items.All(item => item is Quantity { Unit: null }) =>
            new RealSet([.. points.Items.Cast<Quantity>().Select(point => new Interval(point.Value, point.Value, true, true))], null),
        _ => null,
    };

    /// <summary>A matrix, a tuple, a set; null where the brackets are those of an expression.</summary>
    static Answer? Bracketed(List<Token> tokens)
    {
        if (tokens[0].Kind == TokenKind.Command && tokens[0].Text.StartsWith("begin ", StringComparison.Ordinal) && Closes(tokens, 0))
        {
            return MatrixOf(tokens);
        }

        // ]0, 1[ is no bracket that closes.
        if (tokens.Count < 2 || !(tokens[0].Is("(") || tokens[0].Is("[") || tokens[0].Is("\\{") || tokens[0].Is("⟨") || tokens[0].Is("{")) || !Closes(tokens, 0))
        {
            return null;
        }

        var inner = tokens[1..^1];
        if (tokens[0].Is("(") && tokens[^1].Is(")") && inner.Count > 0 && !inner.Any(token => token.Is(",") || token.Is(";")))
        {
            return Bracketed(inner) ?? (inner.Any(token => token.Kind == TokenKind.Symbol && Relations.Contains(token.Text)) ? Item(inner).Last() : null);
        }

        if (tokens[0].Is("{"))
        {
            return Whole(inner).Last();
        }

        if (tokens[0].Is("\\{"))
        {
            if (Split(inner, token => token.Is(":") || token.Is("mid") || token.Is("|"), out _) is { Count: 2 } builder && builder.All(part => part.Count > 0))
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

    static List<Answer> Items(List<Token> tokens) => [.. Split(tokens, token => token.Is(",") || token.Is(";"), out _).Select(Value)];

    static Matrix MatrixOf(List<Token> tokens)
    {
        if (tokens[0].Text is not ("begin pmatrix" or "begin bmatrix" or "begin matrix" or "begin Bmatrix" or "begin array" or "begin smallmatrix"))
        {
            throw new BeyondEngineException($"the environment {tokens[0].Text}");
        }

        var rows = Split(tokens[1..^1], token => token.Is("\\\\"), out _).Where(row => row.Count > 0)
            .Select(row => (IReadOnlyList<Answer>)[.. Split(row, token => token.Is("&"), out _).Select(Value)]).ToList();
        return rows.Count == 0 || rows.Any(row => row.Count != rows[0].Count) ? throw new BeyondEngineException("a matrix of uneven rows") : new Matrix(rows);
    }

    static Clock? ClockOf(List<Token> tokens)
    {
        var half = string.Concat(tokens.Where(token => token.Kind is TokenKind.Word or TokenKind.Text).Select(token => token.Text.ToLowerInvariant().Replace(".", "").Replace(" ", "")));
        var rest = tokens.Where(token => token.Kind is not (TokenKind.Word or TokenKind.Text) && !token.Is(".")).ToList();
        if (half is not ("" or "am" or "pm") || rest.Count is not (3 or 5) && !(rest.Count == 1 && half != ""))
        {
            return null;
        }

        for (var i = 0; i < rest.Count; i++)
        {
            if (i % 2 == 1 ? !rest[i].Is(":") : rest[i].Kind != TokenKind.Number || rest[i].Text.Length > 8 || !rest[i].Text.TrimEnd('.').All(char.IsAsciiDigit))
            {
                return null;
            }
        }

        var numbers = rest.Where((_, i) => i % 2 == 0).Select(token => token.Text.TrimEnd('.')).ToList();
        var isTime = half != "" || numbers.Skip(1).All(number => number.Length == 2) && int.Parse(numbers[1], CultureInfo.InvariantCulture) < 60;
        return new Clock([.. numbers.Select(number => int.Parse(number, CultureInfo.InvariantCulture)), .. numbers.Count == 1 ? [0] : Array.Empty<int>()], isTime, half);
    }

    /// <summary>Both values of an expression with ±, those with ∓ the other way round.</summary>
    static AnswerList BothSigns(List<Token> tokens)
    {
        return new AnswerList([Signed("+", "-"), Signed("-", "+")], IsBraced: false, IsOrdered: false);

        Answer Signed(string upper, string lower) => Quantities([.. tokens.Select(token => token.Is("±") ? token with { Text = upper } : token.Is("∓") ? token with { Text = lower } : token)]).Last();
    }

    static List<Answer> Quantities(List<Token> tokens)
    {
        var found = new List<Answer>();
        if (tokens.All(token => token.Kind is TokenKind.Word or TokenKind.Text || token.Is("-")) && NumberWords.TryRead(string.Join(' ', tokens.Select(token => token.Text)), out var number))
        {
            return [new Quantity(number)];
        }

        if (tokens is [{ Kind: TokenKind.Word } word] && (word.Text.Length > 2 || word.Text.Equals("no", StringComparison.OrdinalIgnoreCase)))
        {
            found.Add(Words(tokens));    // a product of variables, or a word
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

    static Answer Plain(List<Token> tokens)
    {
        if (tokens.Count == 0)
        {
            throw new BeyondEngineException("nothing");
        }

        var modulus = tokens.FindIndex(token => token.Kind == TokenKind.Command && token.Text is "pmod" or "mod" or "pod" || token.Kind == TokenKind.Word && token.Text == "mod");
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
            var index = tokens.Count == 3 ? tokens[2..] : tokens.Count == 5 && tokens[2].Is("{") && tokens[4].Is("}") ? tokens[3..4] : [];
            var text = index is [{ Kind: TokenKind.Number or TokenKind.Text or TokenKind.Word } only] ? only.Text : throw new BeyondEngineException("a number with an index");
            return new Quantity(ExpressionParser.Read([tokens[0]], out _)) { Base = text is "ten" ? "10" : text };
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

        return new Quantity(ExpressionParser.Read(tokens[..end], out var isAmbiguous)) { IsPercent = isPercent, IsDegrees = isDegrees, IsAmbiguous = isAmbiguous };
    }

    /// <summary>A value with a unit, or with words for what is counted, behind it or a currency sign before it; null where there is none.</summary>
    static Quantity? WithUnit(List<Token> tokens)
    {
        var sign = tokens.FindIndex(token => token.Is("$"));
        if (sign is 0 or 1 && tokens.Count > sign + 1 && (sign == 0 || tokens[0].Is("-")))
        {
            var rest = tokens.Where((_, index) => index != sign).ToList();
            return (WithUnit(rest) is { Unit.Dimensions: null } noun ? noun : Plain(rest) as Quantity) is { } money ? money with { Unit = Unit.Dollar } : null;
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
                var isDoubtful = tokens[at].Kind == TokenKind.Word && tokens[at..].All(token => token.Kind != TokenKind.Text) && Unit.IsDoubtful(tokens[at].Text, tokens[at].IsSpaced);
                if (value is [.., _, { Text: "°" }] && tokens[at].Text is "C" or "F" or "K" or "c" or "f")
                {
                    value = value[..^(value[^2].Is("^") ? 2 : 1)];
                    unit = new Unit(1, $"°{tokens[at].Text}");
                    isDoubtful = false;
                }

                if (value is [.., var last] && (last.Is("-") && value.Count > 1 || last.Is("*")))
                {
                    value = value[..^1];    // 12-inch
                }

                try
                {
                    return Plain(value) is Quantity quantity
                        ? isDegrees ? quantity with { IsDegrees = true } : quantity with { Unit = unit, IsUnitDoubtful = isDoubtful }
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

    /// <summary>Whether everything from here on is a unit, and how it reads.</summary>
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

    /// <summary>An answer in words. Formulas are none: what the parser does not understand in LaTeX is beyond it.</summary>
    static Wording Words(List<Token> tokens)
    {
        if (!tokens.Any(token => token.Kind is TokenKind.Word or TokenKind.Text or TokenKind.Name)
            || tokens.Any(token => token.Kind == TokenKind.Command || token.Is("^") || token.Is("_") || token.Is("{") || token.Kind == TokenKind.Function))
        {
            throw new BeyondEngineException("neither a formula nor words");
        }

        var words = tokens.Where(token => token.Kind != TokenKind.Symbol || token.Text is "=" or "<" or ">" or "-" or "+" or "/" or "*" or ":")
            .SelectMany(token => token.Text.ToLowerInvariant().Split([' ', '.', '\''], StringSplitOptions.RemoveEmptyEntries))
            .Where(word => word is not ("the" or "a" or "an")).ToList();
        return new Wording(string.Join(' ', words));
    }
}
