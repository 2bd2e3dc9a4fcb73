namespace TraceDistill.Data.Statistics;

/// <summary>One bin of a reliability curve. Empty bins are left out.</summary>
/// <param name="Low">Confidences above this (the first bin includes 0) …</param>
/// <param name="High">… and up to and including this fall in the bin.</param>
/// <param name="Confidence">Their mean.</param>
/// <param name="Accuracy">Share of them that was right.</param>
/// <param name="Count">Number of them.</param>
public sealed record ReliabilityBin(double Low, double High, double Confidence, double Accuracy, long Count);

/// <summary>Distance between stated confidence and accuracy.</summary>
/// <param name="Ece">Expected calibration error: Σ (count / total) · |accuracy − confidence|.</param>
/// <param name="Count">Predictions measured.</param>
/// <param name="Bins">The reliability curve, by rising confidence.</param>
public sealed record ReliabilityCurve(double Ece, long Count, IReadOnlyList<ReliabilityBin> Bins);

/// <summary>Collects predictions into equal-width bins of confidence.</summary>
/// <remarks>
/// M. Naeini, G. Cooper, M. Hauskrecht, AAAI 2015; C. Guo et al., “On Calibration of Modern Neural Networks”, ICML 2017, equation 3 and
/// figure 1, with M = 15 half-open bins ((m−1)/M, m/M].
/// </remarks>
public sealed class Calibration(int bins = 15)
{
    readonly (double Confidence, long Correct, long Count)[] _bins = new (double, long, long)[bins];

    /// <summary>Adds a prediction made with the given confidence, 0 to 1.</summary>
    public void Add(double confidence, bool correct)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(confidence);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(confidence, 1);
        ref var bin = ref _bins[Math.Max(0, (int)Math.Ceiling(confidence * bins) - 1)];
        bin = (bin.Confidence + confidence, bin.Correct + (correct ? 1 : 0), bin.Count + 1);
    }

    /// <returns>The curve, or null where nothing was added.</returns>
    public ReliabilityCurve? Curve()
    {
        var total = _bins.Sum(bin => bin.Count);
        if (total == 0)
        {
            return null;
        }

        var curve = _bins
            .Select(
                (bin, index) =>
                    new ReliabilityBin(
                        (double)index / bins,
                        (double)(index + 1) / bins,
                        bin.Confidence / bin.Count,
                        (double)bin.Correct / bin.Count,
                        bin.Count
                    )
            )
            .Where(bin => bin.Count > 0)
            .ToArray();
        var error = curve.Sum(bin => (double)bin.Count / total * Math.Abs(bin.Accuracy - bin.Confidence));
        return new ReliabilityCurve(error, total, curve);
    }
}
