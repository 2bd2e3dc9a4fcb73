namespace TraceDistill.Inference.Sampling;

/// <summary>
/// Uniform numbers that depend on nothing but seed, sample and position, so that a sequence
/// draws the same tokens whatever is generated beside it.
/// </summary>
/// <remarks>The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over a counter.</remarks>
readonly struct SampleStream
{
    const ulong Golden = 0x9E3779B97F4A7C15;

    /// <summary>Sets the streams of a token's alternatives apart from that which draws the tokens: any odd number.</summary>
    const ulong Alternatives = 0xD1342543DE82EF95;

    readonly ulong _key;

    public SampleStream(long seed, int sampleIndex) => _key = Mix((ulong)seed + Mix((ulong)sampleIndex + 1));

    SampleStream(ulong key) => _key = key;

    /// <summary>The numbers that draw the alternatives of the <paramref name="position"/>-th token.</summary>
    public SampleStream AlternativesOf(int position) => new(Mix(Mix(_key ^ Alternatives) + (ulong)position * Golden));

    /// <summary>A number in [0, 1) for the <paramref name="position"/>-th token.</summary>
    public double Uniform(int position) => (Mix(_key + (ulong)position * Golden) >> 11) * (1.0 / (1UL << 53));

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
