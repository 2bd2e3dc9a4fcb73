namespace TraceDistill.Teachers.Telemetry;

/// <summary>Latencies in buckets that are 4 % wide, so that a quantile is known to 2 % however many there are. Not thread-safe.</summary>
public sealed class LatencyHistogram
{
    const double Width = 1.04;
    static readonly double LogWidth = Math.Log(Width);

    readonly SortedDictionary<int, long> _buckets = [];

    /// <summary>Latencies counted.</summary>
    public long Count { get; private set; }

    /// <summary>
    /// Counts by bucket number: bucket b holds what lies between 1.04^b and 1.04^(b+1) milliseconds, the first also what is less.
    /// </summary>
    public IReadOnlyDictionary<int, long> Buckets => _buckets;

    public void Add(TimeSpan latency) => Add(Math.Max(0, (int)Math.Floor(Math.Log(Math.Max(1, latency.TotalMilliseconds)) / LogWidth)), 1);

    /// <summary>Adds the counts of another histogram.</summary>
    public void Add(IReadOnlyDictionary<int, long> buckets)
    {
        foreach (var (bucket, count) in buckets)
        {
            Add(bucket, count);
        }
    }

    /// <returns>Seconds that the given share of latencies stay within; null where none was counted.</returns>
    /// <param name="share">Such as 0.95.</param>
    public double? Quantile(double share)
    {
        var rank = Math.Max(1, (long)Math.Ceiling(share * Count));
        foreach (var (bucket, count) in _buckets)
        {
            if ((rank -= count) <= 0)
            {
                return Math.Round(Math.Exp((bucket + 0.5) * LogWidth) / 1000, 4);
            }
        }

        return null;
    }

    void Add(int bucket, long count)
    {
        _buckets[bucket] = _buckets.GetValueOrDefault(bucket) + count;
        Count += count;
    }
}
