using System.Numerics;

namespace TraceDistill.Data.Answers.Algebra;

/// <summary>
/// Decides whether expressions are equal: by exact algebra where that decides, else by their
/// values at seeded random points. Null is "cannot tell".
/// </summary>
static class ExpressionEquality
{
    /// <summary>
    /// Relative differences below the first are none, above the second are one; what lies between is rounding or bad luck.
    /// </summary>
    const double Same = 1e-10,
        Different = 1e-6;

    /// <summary>Denominator above which a decimal may be the rounded value of something irrational.</summary>
    const int LongDecimal = 100_000;

    public static bool? AreEqual(Expression first, Expression second)
    {
        try
        {
            var (a, b) = (RationalFunction.Of(first), RationalFunction.Of(second));
            var difference = a.Above * b.Below - b.Above * a.Below;
            if (difference.IsZero)
            {
                return true;
            }

            if (!difference.HasOpaque)
            {
                return IsRounded(first, second, a, b) ? null : false;
            }

            var verdict = Spot(difference, IsOnNaturals(first) || IsOnNaturals(second));
            var isDoubtful =
                verdict == true ? IsLongDecimal(a, b) : IsRounded(first, second, a, b) || HasLogScale(first) != HasLogScale(second);
            return isDoubtful ? null : verdict;
        }
        catch (BeyondEngineException exception)
        {
            return exception.IsUndefined ? false : ByValues(first, second);
        }
    }

    /// <summary>Returns whether one is the other times a number other than zero.</summary>
    /// <param name="first">Not constant.</param>
    /// <param name="second">Not constant.</param>
    /// <param name="isPositive">True where that number must be positive.</param>
    public static bool? AreProportional(Expression first, Expression second, bool isPositive)
    {
        if (!first.Variables().ToHashSet().SetEquals(second.Variables()))
        {
            return false;
        }

        try
        {
            var (a, b) = (RationalFunction.Of(first), RationalFunction.Of(second));
            if (a.Above.IsZero || b.Above.IsZero)
            {
                return a.Above.IsZero && b.Above.IsZero;
            }

            var (left, right) = (a.Above * b.Below, b.Above * a.Below);
            var (leading, coefficient) = left.Terms.First();
            if (right.Terms.TryGetValue(leading, out var other))
            {
                var factor = coefficient / other;
                if ((left - right * Polynomial.Of(factor, Monomial.One)).IsZero)
                {
                    return !isPositive || factor.Sign > 0;
                }
            }
        }
        catch (BeyondEngineException exception) when (exception.IsUndefined)
        {
            return false;
        }
        catch (BeyondEngineException)
        {
            // Too large to be multiplied out: the ratio of the values tells.
        }

        return RatioIsConstant(first, second, isPositive);
    }

    static bool? RatioIsConstant(Expression first, Expression second, bool isPositive)
    {
        Complex? ratio = null;
        for (var index = 0; index < 2 * SpotPoints.Count; index++)
        {
            var evaluation = new NumericEvaluation(index < SpotPoints.Count ? SpotPoints.Positive(index) : SpotPoints.Signed(index));
            var value = evaluation.Evaluate(first) / evaluation.Evaluate(second);
            if (!Complex.IsFinite(value) || value == Complex.Zero)
            {
                return null;
            }

            ratio ??= value;
            var error = Complex.Abs(value - ratio.Value) / Complex.Abs(ratio.Value);
            if (error > Same)
            {
                return error > Different ? false : null;
            }
        }

        return !isPositive || Math.Abs(ratio!.Value.Imaginary) < Same && ratio.Value.Real > 0;
    }

    /// <summary>Returns whether a sum of terms vanishes, told by its value beside the sum of the terms' sizes.</summary>
    static bool? Spot(Polynomial difference, bool isOnNaturals)
    {
        var (agreesOnPositive, known) = (true, 0);
        for (var index = 0; index < 2 * SpotPoints.Count; index++)
        {
            var isSigned = index >= SpotPoints.Count;
            var evaluation = new NumericEvaluation(
                isOnNaturals ? SpotPoints.Natural(index)
                : isSigned ? SpotPoints.Signed(index)
                : SpotPoints.Positive(index)
            );
            var (sum, size) = (Complex.Zero, 0.0);
            foreach (var (monomial, coefficient) in difference.Terms)
            {
                var value = monomial.Powers.Aggregate((Complex)coefficient.ToDouble(), (product, power) =>
                    product * Value(power.Of, power.Exponent, evaluation)
                );
                sum += value;
                size += Complex.Abs(value);
            }

            if (!double.IsFinite(size) || size == 0)
            {
                continue;
            }

            known++;
            var error = Complex.Abs(sum) / size;
            if (error > Different)
            {
                // What only differs where variables are negative differs by the branch of a root: the domain decides, which is not known.
                return isSigned && agreesOnPositive && !isOnNaturals && known > SpotPoints.Count / 2 ? null : false;
            }

            agreesOnPositive &= error <= Same;
        }

        return known >= SpotPoints.Count / 2 && agreesOnPositive ? true : null;
    }

    static Complex Value(Generator of, Rational exponent, NumericEvaluation evaluation)
    {
        var value =
            of.Prime > 0 ? of.Prime
            : of.Definition is { } definition ? evaluation.Evaluate(definition)
            : evaluation.Symbol(of.Name);
        return exponent == 1 ? value
            : value == Complex.Zero ? (exponent.Sign > 0 ? 0 : double.NaN)
            : Complex.Pow(value, exponent.ToDouble());
    }

    /// <summary>
    /// For expressions too large for exact algebra. Numbers that close may still differ; functions that agree at random points do not.
    /// </summary>
    static bool? ByValues(Expression first, Expression second)
    {
        var hasVariables = first.Variables().Any() || second.Variables().Any();
        for (var index = 0; index < SpotPoints.Count; index++)
        {
            var evaluation = new NumericEvaluation(SpotPoints.Positive(index));
            var (a, b) = (evaluation.Evaluate(first), evaluation.Evaluate(second));
            if (!Complex.IsFinite(a) || !Complex.IsFinite(b))
            {
                return null;
            }

            var error = Complex.Abs(a - b) / Math.Max(Complex.Abs(a) + Complex.Abs(b), double.Epsilon);
            if (error > Same)
            {
                return error > Different ? false : null;
            }
        }

        return hasVariables ? true : null;
    }

    /// <summary>Returns whether one is a decimal to which the other, an irrational number, rounds at four digits or more.</summary>
    static bool IsRounded(Expression first, Expression second, RationalFunction a, RationalFunction b)
    {
        var (isFirst, isSecond) = (a.IsNumber(out var x), b.IsNumber(out var y));
        if (isFirst == isSecond || NumericEvaluation.Real(isFirst ? second : first) is not { } exact)
        {
            return false;
        }

        var rounded = isFirst ? x : y;
        return !rounded.IsInteger && double.IsFinite(exact) && Math.Abs(rounded.ToDouble() - exact) <= 5e-4 * Math.Abs(exact);
    }

    static bool IsLongDecimal(RationalFunction a, RationalFunction b) =>
        a.IsNumber(out var x) && x.Denominator > LongDecimal || b.IsNumber(out var y) && y.Denominator > LongDecimal;

    /// <summary>Returns whether it has a logarithm whose base is not said.</summary>
    static bool HasLogScale(Expression expression) =>
        expression switch
        {
            SymbolExpression symbol => symbol.Name == SymbolExpression.LogScale,
            SumExpression sum => sum.Terms.Any(HasLogScale),
            ProductExpression product => product.Factors.Any(HasLogScale),
            PowerExpression power => HasLogScale(power.Base) || HasLogScale(power.Exponent),
            FunctionExpression function => function.Arguments.Any(HasLogScale),
            _ => false,
        };

    static bool IsOnNaturals(Expression expression) =>
        expression switch
        {
            SumExpression sum => sum.Terms.Any(IsOnNaturals),
            ProductExpression product => product.Factors.Any(IsOnNaturals),
            PowerExpression power => IsOnNaturals(power.Base)
                || IsOnNaturals(power.Exponent)
                || power.Exponent.Variables().Any() && NumericEvaluation.Real(power.Base) is < 0,
            FunctionExpression { Name: "factorial" or "binom" } function => function
                .Arguments.SelectMany(argument => argument.Variables())
                .Any(),
            FunctionExpression function => function.Arguments.Any(IsOnNaturals),
            _ => false,
        };
}
