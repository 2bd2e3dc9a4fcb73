namespace TraceDistill.Models.Configuration;

/// <summary>The angle by which each pair of channels turns from one position to the next.</summary>
/// <remarks>
/// θ^(−2c/d) (Su et al., arXiv 2104.09864), stretched as transformers does (<c>modeling_rope_utils.py</c>):
/// linear (kaiokendev's position interpolation, arXiv 2306.15595), Llama 3 (Meta's <c>apply_scaling</c>),
/// YaRN (arXiv 2309.00071, section 3.4), LongRoPE (arXiv 2402.13753, section 3).
/// </remarks>
sealed class RotaryFrequencies
{
    RotaryFrequencies(double[] angles, double magnitude) => (Angles, Magnitude) = (angles, magnitude);

    /// <summary>[rotated channels / 2] radians a position.</summary>
    public double[] Angles { get; }

    /// <summary>Factor of the rotated channels; its square multiplies attention scores.</summary>
    public double Magnitude { get; }

    /// <param name="isLocal">True where they are those of layers with a window.</param>
    /// <param name="isLong">True where they are those of a sequence that is <see cref="ModelConfiguration.IsLong"/>.</param>
    public static RotaryFrequencies Of(ModelConfiguration configuration, bool isLocal = false, bool isLong = false)
    {
        var (scaling, d) = (isLocal ? RopeScaling.None : configuration.RopeScaling, configuration.RotaryDim);
        var theta = isLocal ? configuration.LocalRopeTheta!.Value : configuration.RopeTheta;
        double[] plain = [.. Enumerable.Range(0, d / 2).Select(c => Math.Pow(theta, -2.0 * c / d))];
        var original = scaling.OriginalMaxPositionEmbeddings ?? configuration.MaxPositionEmbeddings;
        return scaling.Type switch
        {
            RopeType.Linear => new RotaryFrequencies([.. plain.Select(angle => angle / scaling.Factor)], 1),
            RopeType.Llama3 => new RotaryFrequencies([.. plain.Select(angle => Llama3(angle, scaling, original))], 1),
            RopeType.Yarn => Yarn(plain, theta, scaling, original),
            RopeType.LongRope => LongRope(
                plain,
                (isLong ? scaling.LongFactor : scaling.ShortFactor)!,
                scaling,
                configuration.MaxPositionEmbeddings,
                original
            ),
            _ => new RotaryFrequencies(plain, 1),
        };
    }

    static double Llama3(double angle, RopeScaling scaling, double original)
    {
        var rotations = original * angle / (2 * Math.PI);
        var kept = Math.Clamp((rotations - scaling.LowFreqFactor) / (scaling.HighFreqFactor - scaling.LowFreqFactor), 0, 1);
        return angle * (kept + (1 - kept) / scaling.Factor);
    }

    static RotaryFrequencies Yarn(double[] plain, double theta, RopeScaling scaling, double original)
    {
        var (low, high) = (ChannelOf(scaling.BetaFast), ChannelOf(scaling.BetaSlow));
        if (scaling.Truncate)
        {
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        }

        (low, high) = (Math.Max(low, 0), Math.Min(high, 2 * plain.Length - 1));
        var width = low == high ? 0.001 : high - low; // as transformers has it, against division by zero
        return new RotaryFrequencies(
            [.. plain.Select((angle, c) => Stretch(angle, Math.Clamp((c - low) / width, 0, 1)))],
            scaling.AttentionFactor ?? Sharpening(scaling)
        );

        double Stretch(double angle, double share) => angle * (share / scaling.Factor + 1 - share);

        // The channel that makes so many rotations within the original length.
        double ChannelOf(double rotations) => plain.Length * Math.Log(original / (rotations * 2 * Math.PI)) / Math.Log(theta);
    }

    static RotaryFrequencies LongRope(double[] plain, IReadOnlyList<double> factors, RopeScaling scaling, double longest, double original)
    {
        var stretch = scaling.OriginalMaxPositionEmbeddings is null ? scaling.Factor : longest / original;
        return new RotaryFrequencies(
            [.. plain.Zip(factors, (angle, factor) => angle / factor)],
            scaling.AttentionFactor ?? (stretch <= 1 ? 1 : Math.Sqrt(1 + Math.Log(stretch) / Math.Log(original)))
        );
    }

    static double Sharpening(RopeScaling scaling)
    {
        return scaling is { Mscale: { } numerator and not 0, MscaleAllDim: { } denominator and not 0 }
            ? Of(numerator) / Of(denominator)
            : Of(1);

        double Of(double scale) => scaling.Factor <= 1 ? 1 : 0.1 * scale * Math.Log(scaling.Factor) + 1;
    }
}
