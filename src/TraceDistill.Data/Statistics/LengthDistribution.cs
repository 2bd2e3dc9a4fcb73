namespace TraceDistill.Data.Statistics;

/// <summary>Lengths of traces, in tokens.</summary>
public sealed record LengthDistribution
{
    /// <summary>0 where there are no traces.</summary>
    public required double Mean { get; init; }

    /// <summary>Half of the traces are no longer than this.</summary>
    public required int Median { get; init; }

    /// <summary>Nine of ten traces are no longer than this.</summary>
    public required int Percentile90 { get; init; }

    public required int Percentile99 { get; init; }

    public required int Longest { get; init; }

    /// <summary>Number of traces of each length that occurs, shortest first.</summary>
    public required IReadOnlyDictionary<int, long> Counts { get; init; }

    /// <summary>Summarises the number of traces of each length. Percentiles are lengths that occur (nearest rank).</summary>
    public static LengthDistribution Create(IEnumerable<KeyValuePair<int, long>> lengths)
    {
        var counts = new SortedDictionary<int, long>(lengths.ToDictionary());
        var traces = counts.Values.Sum();
        return new LengthDistribution
        {
            Mean = traces == 0 ? 0 : counts.Sum(pair => (double)pair.Key * pair.Value) / traces,
            Median = Percentile(0.5),
            Percentile90 = Percentile(0.9),
            Percentile99 = Percentile(0.99),
            Longest = Percentile(1),
            Counts = counts,
        };

        int Percentile(double share)
        {
            var rank = (long)Math.Ceiling(share * traces);
            foreach (var (length, count) in counts)
            {
                rank -= count;
                if (rank <= 0)
                {
                    return length;
                }
            }

            return 0;
        }
    }
}
