namespace TraceDistill.Data.Answers.Algebra;

/// <summary>
/// The work that one comparison may take, in counted steps of roughly a hundred nanoseconds.
/// It counts steps and not time, so that a verdict does not depend on the machine.
/// </summary>
/// <remarks>
/// The count belongs to the thread: a comparison runs on one, from <see cref="Begin"/> to its verdict. Outside, nothing is counted.
/// </remarks>
readonly ref struct WorkLimit : IDisposable
{
    const long Steps = 400_000;

    [ThreadStatic]
    static long _left;

    [ThreadStatic]
    static bool _isCounting;

    /// <summary>Begins a comparison, which ends when the result is disposed of.</summary>
    public static WorkLimit Begin()
    {
        (_left, _isCounting) = (Steps, true);
        return default;
    }

    /// <exception cref="BeyondEngineException">The comparison has had its steps; every further charge says so again.</exception>
    public static void Charge(long steps)
    {
        if (_isCounting && (_left -= steps) < 0)
        {
            throw new BeyondEngineException("too much work");
        }
    }

    /// <summary>
    /// Charges for arithmetic on numbers of so many bits together: products and common divisors are quadratic. Small numbers are free.
    /// </summary>
    public static void ChargeBits(long bits) => Charge(bits < 256 ? 0 : bits / 64 * (bits / 64) / 50);

    public void Dispose() => _isCounting = false;
}
