namespace TraceDistill.Inference.Sampling;

/// <summary>
/// Uniform numbers that depend on nothing but seed, sample and position, so that a sequence
/// draws the same tokens whatever is generated beside it.
/// </summary>
/// <remarks>The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over a counter.</remarks>
readonly struct SampleStream(long seed, int sampleIndex)
{
    readonly ulong _key = Mix((ulong)seed + Mix((ulong)sampleIndex + 1));

    /// <summary>A number in [0, 1) for the <paramref name="position"/>-th token.</summary>
    public double Uniform(int position) => (Mix(_key + (ulong)position * 0x9E3779B97F4A7C15) >> 11) * (1.0 / (1UL << 53));

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
