using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Data.Answers;

/// <summary>Makes sets of real numbers out of others.</summary>
static class RealSets
{
    public static SymbolExpression Infinity { get; } = new(SymbolExpression.Infinity);

    public static RealSet All { get; } = new([new(-(Expression)Infinity, Infinity, false, false)], null);

    public static Answer Union(List<Answer> parts)
    {
        if (parts.All(part => part is AnswerList { IsBraced: true }))
        {
            return new AnswerList([.. parts.SelectMany(part => ((AnswerList)part).Items)], IsBraced: true, IsOrdered: false);
        }

        return new RealSet(
            [.. parts.SelectMany(part => (AsRealSet(part) ?? throw new BeyondEngineException("a union of other things")).Parts)],
            null
        );
    }

    /// <summary>The reals without some points.</summary>
    public static RealSet Without(List<List<Token>> parts, Func<List<Token>, Answer> read)
    {
        if (
            parts.Count != 2
            || parts.Any(part => part.Count == 0)
            || AsRealSet(read(parts[0])) is not { Parts: [var all] }
            || read(parts[1]) is not AnswerList { IsBraced: true } points
        )
        {
            throw new BeyondEngineException("a difference of sets");
        }

        var holes = points
            .Items.Select(item =>
                item is Quantity { Unit: null } quantity ? quantity.Value : throw new BeyondEngineException("a difference of sets")
            )
            .OrderBy(Value)
            .ToList();
        if (holes.Any(hole => !(Value(hole) > Value(all.Low) && Value(hole) < Value(all.High))))
        {
            throw new BeyondEngineException("a difference of sets");
        }

        List<Expression> bounds = [all.Low, .. holes, all.High];
        var intervals = Enumerable
            .Range(0, bounds.Count - 1)
            .Select(i => new Interval(bounds[i], bounds[i + 1], i == 0 && all.IsLowClosed, i == bounds.Count - 2 && all.IsHighClosed));
        return new RealSet([.. intervals], null);
    }

    /// <summary>A tuple of two in round or square brackets is an interval to those who compare it with one.</summary>
    public static RealSet? AsRealSet(Answer answer) =>
        answer switch
        {
            RealSet set => set,
            Tuple { Items: [Quantity { Unit: null } low, Quantity { Unit: null } high], Open: "(" or "[" } pair => new RealSet(
                [new(low.Value, high.Value, pair.Open == "[", pair.Close == "]")],
                null
            ),
            AnswerList { IsBraced: true } points when points.Items.All(item => item is Quantity { Unit: null }) => new RealSet(
                [.. points.Items.Cast<Quantity>().Select(point => new Interval(point.Value, point.Value, true, true))],
                null
            ),
            _ => null,
        };

    public static RealSet Intersect(List<RealSet> sets)
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
        var isEmpty = from > to || from == to && !(low.IsLowClosed && high.IsHighClosed);
        return isEmpty ? null : new Interval(low.Low, high.High, low.IsLowClosed, high.IsHighClosed);
    }

    static double Value(Expression expression) =>
        NumericEvaluation.Real(expression) ?? throw new BeyondEngineException("a bound that is no number");
}
