using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Data.Answers;

/// <summary>
/// Compares what two answers say. The rules where notation alone does not decide:
/// <list type="bullet">
/// <item><b>Percent</b>: 50 % equals 50 and 0.5, for questions that ask for a percentage have answers with and without the sign. Two
/// percentages compare as numbers.</item>
/// <item><b>Degrees</b>: 60° equals 60 and π/3.</item>
/// <item>
/// <b>Units</b>: an answer with a unit equals the number without. Two known units are converted and must have
/// the same dimensions. Words for what is counted are passed over (2 dogs, 2 cats). A bare letter behind a
/// number is a unit only where the expected answer has no letters: for <c>3m</c>, <c>3</c> is unverified.
/// </item>
/// <item><b>Order</b>: lists and sets have none; tuples, vectors, matrices and numbers with only spaces between have one.</item>
/// <item><b>Names</b>: <c>x = 2</c> equals 2 and <c>y = 2x + 1</c> equals 2x + 1. Other equations keep both sides and are equal up to a
/// factor.</item>
/// <item><b>Decimals</b>: are exact, 0.333 is not 1/3. Where an irrational number rounds to the decimal, the verdict is unverified.</item>
/// </list>
/// </summary>
static class AnswerComparison
{
    /// <summary>Returns whether answers are equal, by the best of all ways to read them; null where that is beyond the engine.</summary>
    public static bool? AreEqual(IReadOnlyList<Reading> expected, IReadOnlyList<Reading> given)
    {
        if (expected.Count == 0 || given.Count == 0)
        {
            return null;
        }

        bool? best = false;
        foreach (var a in expected)
        {
            foreach (var b in given)
            {
                var equal = AreEqual(a.Answer, b.Answer);
                if (equal == true && !a.IsWeak && !b.IsWeak)
                {
                    return true;
                }

                if (equal != false && (equal == true || !a.IsWeak && !b.IsWeak))
                {
                    best = null;
                }
            }
        }

        return best;
    }

    static bool? AreEqual(Answer expected, Answer given) =>
        (expected, given) switch
        {
            (Approximation a, _) => Any(a.Values.Select(value => AreEqual(value, given))),
            (_, Approximation b) => Any(b.Values.Select(value => AreEqual(expected, value))),
            (Assignment a, Assignment b) => Assignments(a, b),
            (Assignment { Left: { } left } a, Relation b) when a.Value is Quantity value => Relations(
                new Relation(left, "=", value.Value),
                b
            ),
            (Relation a, Assignment { Left: { } left } b) when b.Value is Quantity value => Relations(
                a,
                new Relation(left, "=", value.Value)
            ),
            (Assignment a, AnswerList or Relation) when a.Value is Quantity => false,
            (Assignment a, _) => AreEqual(a.Value, given),
            (AnswerList, Assignment b) when b.Value is Quantity => false,
            (_, Assignment b) => AreEqual(expected, b.Value),
            (Relation a, Relation b) => Relations(a, b),
            (Quantity a, Relation { Operator: "=" } b) => SideOf(b, a),
            (Relation { Operator: "=" } a, Quantity b) => SideOf(a, b),
            (Clock a, Clock b) => Clocks(a, b),
            (Matrix a, Matrix b) => a.Rows.Count == b.Rows.Count && a.Rows[0].Count == b.Rows[0].Count
                ? All(a.Rows.Zip(b.Rows).SelectMany(rows => rows.First.Zip(rows.Second)).Select(Pair))
                : false,
            (Matrix a, Tuple b) => IsVector(a) ? InOrder([.. a.Rows.SelectMany(row => row)], b.Items) : false,
            (Tuple a, Matrix b) => IsVector(b) ? InOrder(a.Items, [.. b.Rows.SelectMany(row => row)]) : false,
            (Wording a, Wording b) => Wordings(a.Text, b.Text),
            (RealSet, _) or (_, RealSet) when Answers.RealSets.AsRealSet(expected) is { } a && Answers.RealSets.AsRealSet(given) is { } b =>
                RealSets(a, b),
            (Residue a, Residue b) => ExpressionEquality.AreEqual(a.Modulus, b.Modulus) is not true
                ? false
                : Residues(a.Value, b.Value, a.Modulus),
            (Residue a, Quantity b) => ExpressionEquality.AreEqual(a.Value, b.Value) is true ? true
            : Residues(a.Value, b.Value, a.Modulus) is false ? false
            : null,
            (Quantity, Residue) => AreEqual(given, expected),
            (Tuple a, Tuple b) => Tuples(a, b),
            (AnswerList a, AnswerList b) => Lists(a, b),
            (AnswerList a, Tuple b) => ListAndTuple(a, b, isListExpected: true),
            (Tuple a, AnswerList b) => ListAndTuple(b, a, isListExpected: false),
            (AnswerList { Items: [var one] }, _) => AreEqual(one, given),
            (_, AnswerList { Items: [var one] }) => AreEqual(expected, one),
            (Quantity a, Quantity b) => Quantities(a, b),
            (Quantity a, Wording b) => NumberWords.TryRead(b.Text, out var number) ? Quantities(a, new Quantity(number))
            : IsOneSymbol(a) || HasNumber(b.Text) && !b.Text.AsSpan().ContainsAny('+', '*') ? null
            : false,
            (Wording, Quantity) => NumberWords.TryRead(((Wording)expected).Text, out _) || IsOneSymbol((Quantity)given)
                ? AreEqual(given, expected)
            : HasNumber(((Wording)expected).Text) ? Partly(((Wording)expected).Text)
            : null,
            (Wording, _) or (_, Wording) => null,
            (Tuple, Quantity b) when IsOfUnitVectors(b) => null,
            (Quantity a, Tuple) when IsOfUnitVectors(a) => null,
            (AnswerList or Tuple or Clock or Matrix, Quantity) or (Quantity, AnswerList or Tuple or Clock or Matrix) => Shapes(
                expected,
                given
            ),
            (RealSet, Quantity) or (Quantity, RealSet) => false,
            (RealSet, Relation { Operator: "=" }) or (Relation { Operator: "=" }, RealSet) => false,
            _ => null,
        };

    static bool? Any(IEnumerable<bool?> verdicts) => verdicts.Aggregate((bool?)false, (any, verdict) => any == true || verdict == true
                ? true
            : any is null || verdict is null ? null
            : false);

    static bool? All(IEnumerable<bool?> verdicts)
    {
        var isKnown = true;
        foreach (var verdict in verdicts)
        {
            if (verdict == false)
            {
                return false;
            }

            isKnown &= verdict == true;
        }

        return isKnown ? true : null;
    }

    static bool? Pair((Answer First, Answer Second) pair) => AreEqual(pair.First, pair.Second);

    static bool? InOrder(IReadOnlyList<Answer> a, IReadOnlyList<Answer> b) => a.Count == b.Count ? All(a.Zip(b).Select(Pair)) : false;

    static bool IsVector(Matrix matrix) => matrix.Rows.Count == 1 || matrix.Rows[0].Count == 1;

    /// <summary>A number against something of another shape: a ratio may be a fraction, the rest is another answer.</summary>
    static bool? Shapes(Answer expected, Answer given) =>
        (expected, given) switch
        {
            (Clock { IsTime: false } or Clock { Half: "" }, Quantity b) => RatioOf((Clock)expected) is { } ratio
            && ExpressionEquality.AreEqual(ratio, b.Value) is not false
                ? null
                : false,
            (Quantity, Clock) => Shapes(given, expected),
            _ => false,
        };

    static Rational? RatioOf(Clock clock) => clock.Parts is [var a, var b] && b != 0 ? new Rational(a, b) : null;

    static bool? Assignments(Assignment a, Assignment b)
    {
        var values = AreEqual(a.Value, b.Value);
        if (a.Name == b.Name || values == false && !(HasVariables(a.Value) || HasVariables(b.Value)))
        {
            return values;
        }

        if (
            a is { Left: { } left, Value: Quantity x }
            && b is { Left: { } right, Value: Quantity y }
            && (HasVariables(x) || HasVariables(y))
        )
        {
            return Relations(new Relation(left, "=", x.Value), new Relation(right, "=", y.Value));
        }

        // Area = 5 and A = 5 say the same; x = 5 and y = 5 may not.
        return a.Name.Length > 1 && b.Name.Length > 1 || values == false ? values : null;
    }

    static bool HasVariables(Answer answer) => answer is Quantity quantity && quantity.Value.Variables().Any();

    static bool? Relations(Relation a, Relation b)
    {
        if (a.Operator != b.Operator)
        {
            return false;
        }

        var (first, second) = (a.Left - a.Right, b.Left - b.Right);
        return ExpressionEquality.AreProportional(first, second, isPositive: a.Operator is "<" or "<=");
    }

    /// <summary>An equation between expressions is not its right side, but who means that side writes it so at times: a + b = 7.</summary>
    /// <remarks>In an identity, such as (x + 1)(x − 1) = x² − 1, any side is the value.</remarks>
    static bool? SideOf(Relation relation, Quantity quantity) =>
        ExpressionEquality.AreEqual(relation.Left, relation.Right) is true ? AreEqual(new Quantity(relation.Right), quantity)
        : ExpressionEquality.AreEqual(relation.Right, quantity.Value) is false ? false
        : null;

    static bool? Clocks(Clock a, Clock b)
    {
        if (a.Parts.Count != b.Parts.Count)
        {
            return a.Parts.Count > 1 && b.Parts.Count > 1 && a.Parts.Zip(b.Parts).All(pair => pair.First == pair.Second) ? null : false;
        }

        var same = a.Parts.SequenceEqual(b.Parts);
        if (a.Half != "" || b.Half != "")
        {
            return a.Half == b.Half || a.Half == "" && !HasTwentyFour(a) || b.Half == "" && !HasTwentyFour(b)
                ? same
                : Hour(a) == Hour(b) && a.Parts.Skip(1).SequenceEqual(b.Parts.Skip(1));
        }

        // 6:4 is the ratio 3:2, and half past six no ratio.
        return same || !a.IsTime && !b.IsTime ? same || AreScaled(a, b)
            : AreScaled(a, b) && !(a.IsTime && b.IsTime) ? null
            : false;
    }

    static bool AreScaled(Clock a, Clock b) =>
        a.Parts.Zip(b.Parts).All(pair => (long)pair.First * b.Parts[0] == (long)pair.Second * a.Parts[0]);

    static bool HasTwentyFour(Clock clock) => clock.Parts[0] > 12;

    static int Hour(Clock clock) =>
        clock.Half switch
        {
            "pm" => clock.Parts[0] % 12 + 12,
            "am" => clock.Parts[0] % 12,
            _ => clock.Parts[0],
        };

    /// <summary>Short different wordings are different answers; of longer ones that share words nobody knows.</summary>
    static bool? Wordings(string a, string b)
    {
        if (a == b)
        {
            return true;
        }

        var (first, second) = (a.Split(' '), b.Split(' '));
        if (
            first.Length == second.Length
            && first.Zip(second).All(pair => pair.First == pair.Second || AreSameNumber(pair.First, pair.Second))
        )
        {
            return true;
        }

        if (first.Length > 4 || second.Length > 4)
        {
            return null;
        }

        if (HasNumber(a) && HasNumber(b) && !NumbersOf(a).SequenceEqual(NumbersOf(b)))
        {
            return false;
        }

        return !first.Intersect(second).Any() && !IsSpelling(a, b) ? false : null;
    }

    static bool AreSameNumber(string a, string b) => IsNumber(a) && IsNumber(b) && Rational.Decimal(a) == Rational.Decimal(b);

    static bool IsNumber(string word) =>
        word.Length is > 0 and < 30
        && char.IsAsciiDigit(word[0])
        && word.All(character => char.IsAsciiDigit(character) || character == '.')
        && word.Count(character => character == '.') < 2;

    static IEnumerable<Rational> NumbersOf(string text) => text.Split(' ').Where(IsNumber).Select(Rational.Decimal);

    static bool HasNumber(string text) => text.Any(char.IsAsciiDigit);

    /// <summary>A number beside words, <c>8 remainder 3</c>, is another answer than the number alone.</summary>
    static bool? Partly(string text) => NumbersOf(text).Count() > 1 ? false : null;

    /// <summary>Returns whether one word may be the other's inflection or abbreviation.</summary>
    static bool IsSpelling(string a, string b) =>
        a[0] == b[0] && (a.StartsWith(b, StringComparison.Ordinal) || b.StartsWith(a, StringComparison.Ordinal))
        || a.Length > 4 && b.Length > 4 && a[..4] == b[..4];

    /// <summary>Returns whether an expression may be a vector: <c>2i − j + 3k</c>.</summary>
    static bool IsOfUnitVectors(Quantity quantity) => quantity.Value.Variables().Any(name => name is "j" or "k");

    static bool IsOneSymbol(Quantity quantity) => quantity.Value is SymbolExpression;

    static bool? RealSets(RealSet a, RealSet b)
    {
        if (a.Variable is not null && b.Variable is not null && a.Variable != b.Variable)
        {
            return null;
        }

        if (Ordered(a) is not { } first || Ordered(b) is not { } second)
        {
            return a.Parts.Count == b.Parts.Count
                ? All(a.Parts.Zip(b.Parts).Select(pair => Intervals(pair.First, pair.Second))) is true
                    ? true
                    : null
                : null;
        }

        return first.Count == second.Count ? All(first.Zip(second).Select(pair => Intervals(pair.First, pair.Second))) : false;
    }

    static bool? Intervals(Interval a, Interval b) =>
        a.IsLowClosed != b.IsLowClosed || a.IsHighClosed != b.IsHighClosed
            ? false
            : All([ExpressionEquality.AreEqual(a.Low, b.Low), ExpressionEquality.AreEqual(a.High, b.High)]);

    /// <summary>The intervals from left to right, those that touch made one; null where a bound is no number.</summary>
    static List<Interval>? Ordered(RealSet set)
    {
        var parts = set
            .Parts.Select(part => (Part: part, Low: NumericEvaluation.Real(part.Low), High: NumericEvaluation.Real(part.High)))
            .ToList();
        if (parts.Any(part => part.Low is null || part.High is null))
        {
            return null;
        }

        var merged = new List<(Interval Part, double High)>();
        foreach (var (part, low, high) in parts.OrderBy(part => part.Low).ThenBy(part => part.Part.IsLowClosed ? 0 : 1))
        {
            if (merged.Count > 0 && merged[^1] is var (last, end) && (low < end || low == end && (part.IsLowClosed || last.IsHighClosed)))
            {
                var isFurther = high > end || high == end && part.IsHighClosed;
                merged[^1] = isFurther ? (last with { High = part.High, IsHighClosed = part.IsHighClosed }, high!.Value) : merged[^1];
            }
            else
            {
                merged.Add((part, high!.Value));
            }
        }

        return [.. merged.Select(part => part.Part)];
    }

    static bool? Residues(Expression a, Expression b, Expression modulus)
    {
        try
        {
            return RationalFunction.Of((a - b) / modulus).IsNumber(out var quotient) ? quotient.IsInteger : null;
        }
        catch (BeyondEngineException)
        {
            return null;
        }
    }

    static bool? Tuples(Tuple a, Tuple b)
    {
        var items = InOrder(a.Items, b.Items);
        var isSame = a.Open == b.Open && a.Close == b.Close;

        // Two numbers in brackets may be an interval; vectors are written in any.
        return isSame || a.Items.Count != 2 || items == false ? items
            : a.Open == "⟨" || b.Open == "⟨" ? items
            : false;
    }

    static bool? Lists(AnswerList a, AnswerList b)
    {
        if (a.IsOrdered)
        {
            return InOrder(a.Items, b.Items);
        }

        return Unordered(a.Items, b.Items);
    }

    /// <summary>Returns whether every item of each list is one of the other; where items repeat, the lists are compared as sets.</summary>
    static bool? Unordered(IReadOnlyList<Answer> a, IReadOnlyList<Answer> b)
    {
        if (a.Count > 40 || b.Count > 40)
        {
            return InOrder(a, b) == true ? true : null;
        }

        var pairs = a.Select(item => b.Select(other => AreEqual(item, other)).ToArray()).ToArray();
        return All([.. pairs.Select(Any), .. Enumerable.Range(0, b.Count).Select(column => Any(pairs.Select(row => row[column])))]);
    }

    static bool? ListAndTuple(AnswerList list, Tuple tuple, bool isListExpected)
    {
        var inOrder = isListExpected ? InOrder(list.Items, tuple.Items) : InOrder(tuple.Items, list.Items);
        if (list.IsBraced)
        {
            return inOrder == false ? false : null;
        }

        if (inOrder == true)
        {
            return true;
        }

        // A tuple with the items of an expected list in another order is no other answer, but the reverse may be.
        var anyOrder = isListExpected ? Unordered(list.Items, tuple.Items) : Unordered(tuple.Items, list.Items);
        return anyOrder == false || list.IsOrdered || !isListExpected && inOrder == false
            ? inOrder == null
                ? null
                : false
            : null;
    }

    static bool? Quantities(Quantity a, Quantity b)
    {
        if (a.Base is not null && b.Base is not null)
        {
            return a.Base == b.Base ? ExpressionEquality.AreEqual(a.Value, b.Value) : null;
        }

        var (isDoubtful, scale) = (false, (Rational)1);
        if (a.Unit is { Dimensions: { } first } && b.Unit is { Dimensions: { } second })
        {
            if (first != second)
            {
                return false;
            }

            scale = b.Unit.Factor / a.Unit.Factor;
        }
        else if (
            a.Unit is { } needed
            && (b.Unit is null ? a.IsUnitDoubtful || HasVariables(b) : (needed.Dimensions is null) != (b.Unit.Dimensions is null))
        )
        {
            // 3m may be a product, and 5 kilometres are not 5 runners.
            isDoubtful = true;
        }
        else if (a.Unit is null && b.IsUnitDoubtful && HasVariables(a))
        {
            return false;
        }

        var equal =
            scale == 1
                ? Any(from x in Meanings(a, b) from y in Meanings(b, a) select ExpressionEquality.AreEqual(x, y))
                : ExpressionEquality.AreEqual(a.Value, b.Value * scale);
        return equal == true
            ? isDoubtful
                ? null
                : true
            : equal == false && (a.IsAmbiguous || b.IsAmbiguous)
                ? null
                : equal;
    }

    /// <summary>The values that a quantity can have beside another one: a percentage and an angle have two beside plain numbers.</summary>
    static IEnumerable<Expression> Meanings(Quantity quantity, Quantity beside)
    {
        yield return quantity.Value;
        if (quantity.IsPercent && !beside.IsPercent)
        {
            yield return quantity.Value / 100;
        }

        if (quantity.IsDegrees && !beside.IsDegrees)
        {
            yield return quantity.Value * new SymbolExpression(SymbolExpression.Pi) / 180;
        }
    }
}
