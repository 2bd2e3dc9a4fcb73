using System.Numerics;

namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// Distance of a logprob below the largest of its row, in whole steps that are even in the square root of probability: what an error of
/// a logprob costs in Kullback-Leibler divergence is proportional to the probability, so rare tokens need fewer digits.
/// </summary>
/// <remarks>
/// A gap g in nats (so that √(p/p₀) = e^(−g/2)) has round(1024·(1 − e^(−g/2))) steps up to g = 2·ln 64, where
/// that makes 1008 and a step has become 1/8 nat; every further 1/8 nat is one more step. Negative gaps have the
/// negative number. Half a step is at most 2⁻¹⁰·√(p₀/p)·32/31 nats up to 1008 steps and 1/16 nat everywhere.
/// </remarks>
static class LogprobGrid
{
    /// <summary>The largest number of steps that occurs; gaps beyond it are cut off there.</summary>
    public const int Largest = 1 << 24;

    /// <summary>Number of contexts that <see cref="Context"/> tells apart.</summary>
    public const int Contexts = 8;

    const int Whole = 1024;
    const int KneeSteps = 1008;
    const double StepsPerNat = 8;
    static readonly double KneeGap = 2 * Math.Log(64);
    static readonly double[] GapsToKnee = [.. Enumerable.Range(0, KneeSteps + 1).Select(steps => -2 * Math.Log(1 - steps / (double)Whole))];

    /// <summary>Steps of a gap in nats.</summary>
    public static int ToSteps(double gap)
    {
        var size = Math.Abs(gap);
        var steps = size < KneeGap ? Whole * (1 - Math.Exp(-size / 2)) : KneeSteps + (size - KneeGap) * StepsPerNat;
        return Math.Sign(gap) * (int)Math.Round(Math.Min(steps, Largest));
    }

    /// <summary>The gap of a number of steps, in nats.</summary>
    public static double ToGap(int steps)
    {
        var size = Math.Abs(steps);
        var gap = size <= KneeSteps ? GapsToKnee[size] : KneeGap + (size - KneeSteps) / StepsPerNat;
        return Math.Sign(steps) * gap;
    }

    /// <summary>
    /// Length of a step at a number of steps that is not negative: 0 beyond the knee, then 1…7 from there up to the best.
    /// </summary>
    public static int Context(int steps) => steps >= KneeSteps ? 0 : Math.Max(BitOperations.Log2((uint)(Whole - steps)) - 3, 1);
}
