namespace TraceDistill.Data.Answers.Algebra;

/// <summary>
/// Something that the answer engine cannot read or is not allowed to work out. Caught within the engine: the verdict is unverified.
/// </summary>
sealed class BeyondEngineException(string message) : Exception(message)
{
    /// <summary>True where the expression is understood and has no value (<c>1/0</c>), so that it equals no answer that has one.</summary>
    public bool IsUndefined { get; init; }
}

/// <summary>Bounds that keep one comparison within milliseconds and a few megabytes.</summary>
static class Limits
{
    /// <summary>Longest answer, in characters, that is read.</summary>
    public const int Characters = 2_000;

    /// <summary>Deepest nesting of brackets, powers and functions.</summary>
    public const int Depth = 40;

    /// <summary>Largest exact number, in bits.</summary>
    public const int Bits = 40_000;

    /// <summary>Largest n of an n! that is worked out.</summary>
    public const int Factorial = 3_000;

    /// <summary>Most terms of a polynomial, and most products of terms in one multiplication.</summary>
    public const int Terms = 300,
        Products = 20_000;

    /// <summary>Largest exponent that a sum is multiplied out for.</summary>
    public const int Exponent = 40;
}
