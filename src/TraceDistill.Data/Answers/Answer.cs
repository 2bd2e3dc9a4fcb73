using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Data.Answers;

/// <summary>Content of an answer, as far as the engine understands it.</summary>
abstract record Answer;

/// <summary>A number or an expression, with what stands behind it.</summary>
sealed record Quantity(Expression Value) : Answer
{
    public Unit? Unit { get; init; }

    /// <summary>True where the unit may as well be a variable, as in <c>3m</c>.</summary>
    public bool IsUnitDoubtful { get; init; }

    public bool IsPercent { get; init; }

    public bool IsDegrees { get; init; }

    /// <summary>The base of the notation: 8 for <c>52_8</c>.</summary>
    public string? Base { get; init; }

    /// <summary>True where people read its notation in two ways, as that of <c>1/2x</c>.</summary>
    public bool IsAmbiguous { get; init; }
}

/// <summary>A residue class.</summary>
sealed record Residue(Expression Value, Expression Modulus) : Answer;

/// <summary>A name and what it is: <c>x = 3</c>, <c>f(x) = 2x</c>, <c>D = (0, 1)</c>.</summary>
sealed record Assignment(string Name, Expression? Left, Answer Value) : Answer;

/// <summary>An equation or inequality that is not solved for a name.</summary>
/// <param name="Operator"><c>=</c>, <c>&lt;</c>, <c>&lt;=</c> or <c>!=</c>; others are turned round.</param>
sealed record Relation(Expression Left, string Operator, Expression Right) : Answer;

/// <summary>A set of real numbers made of intervals.</summary>
/// <param name="Variable">The variable it was written with, if any.</param>
sealed record RealSet(IReadOnlyList<Interval> Parts, string? Variable) : Answer;

sealed record Interval(Expression Low, Expression High, bool IsLowClosed, bool IsHighClosed);

/// <summary>An ordered list in brackets: a point, a vector, an interval.</summary>
sealed record Tuple(string Open, string Close, IReadOnlyList<Answer> Items) : Answer;

/// <summary>Several answers.</summary>
/// <param name="IsBraced">True where it is written as a set.</param>
/// <param name="IsOrdered">True where their order counts: that of numbers with only spaces between does.</param>
sealed record AnswerList(IReadOnlyList<Answer> Items, bool IsBraced, bool IsOrdered) : Answer;

sealed record Matrix(IReadOnlyList<IReadOnlyList<Answer>> Rows) : Answer;

/// <summary>Whole numbers with colons between: a time or a ratio.</summary>
/// <param name="IsTime">True where the spelling is that of a time, such as <c>7:05</c>.</param>
/// <param name="Half"><c>am</c>, <c>pm</c> or nothing.</param>
sealed record Clock(IReadOnlyList<int> Parts, bool IsTime, string Half) : Answer;

/// <summary>Words, in lower case without articles and punctuation.</summary>
sealed record Wording(string Text) : Answer;

/// <summary>Values that the answer says are about the same: <c>\sqrt{2} \approx 1.41</c>.</summary>
sealed record Approximation(IReadOnlyList<Answer> Values) : Answer;
