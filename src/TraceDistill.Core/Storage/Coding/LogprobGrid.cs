namespace TraceDistill.Core.Storage.Coding;

/// <summary>
/// Fixed-point numbers for how far a logprob lies below the largest of its row, in steps that widen as probability falls: what an error in
/// a logprob does to a distribution is proportional to the probability.
/// </summary>
/// <remarks>
/// A gap g in nats becomes the nearest number of steps; a step is 1/512 up to g = 4, 1/128 up to 7, 1/32 up to 10, and 1/8 beyond. So the
/// points 0, 4, 7 and 10 have the numbers 0, 2048, 2432 and 2528.
/// </remarks>
static class LogprobGrid
{
    /// <summary>The largest number of steps that occurs; gaps beyond it are cut off there.</summary>
    public const int Largest = 1 << 24;

    // (first gap, first number, steps per nat) of each segment
    static readonly (double Gap, int Number, double StepsPerNat)[] Segments = [(0, 0, 512), (4, 2048, 128), (7, 2432, 32), (10, 2528, 8)];

    /// <summary>Which of the four segments a number lies in.</summary>
    public static int Segment(int number) => number < 2048 ? 0 : number < 2432 ? 1 : number < 2528 ? 2 : 3;

    /// <summary>Number of steps of a gap; negative gaps give negative numbers.</summary>
    public static int ToSteps(double gap)
    {
        var size = Math.Abs(gap);
        var (first, number, stepsPerNat) = Segments[size < 4 ? 0 : size < 7 ? 1 : size < 10 ? 2 : 3];
        var steps = (int)Math.Min(Math.Round(number + (size - first) * stepsPerNat), Largest);
        return gap < 0 ? -steps : steps;
    }

    /// <summary>The gap of a number of steps, in nats.</summary>
    public static double ToGap(int steps)
    {
        var size = Math.Abs(steps);
        var (first, number, stepsPerNat) = Segments[Segment(size)];
        var gap = first + (size - number) / stepsPerNat;
        return steps < 0 ? -gap : gap;
    }
}
