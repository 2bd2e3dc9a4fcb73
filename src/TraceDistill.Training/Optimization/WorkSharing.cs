namespace TraceDistill.Training.Optimization;

/// <summary>
/// Shares out work of known cost so that all workers end at about the same time: the costliest
/// item first, each to the worker that has least so far (Graham, "Bounds on multiprocessing timing
/// anomalies", 1969). A pure function of the costs, so that results do not depend on timing.
/// </summary>
static class WorkSharing
{
    /// <param name="costs">Cost of each item, in any unit.</param>
    /// <param name="workers">Number of shares; some stay empty where there are fewer items.</param>
    /// <returns>[workers] indices of each one's items, ascending.</returns>
    public static int[][] Share(IReadOnlyList<long> costs, int workers)
    {
        var shares = Enumerable.Range(0, workers).Select(_ => new List<int>()).ToArray();
        var loads = new long[workers];
        foreach (var item in Enumerable.Range(0, costs.Count).OrderByDescending(item => costs[item]))
        {
            var worker = Array.IndexOf(loads, loads.Min());
            shares[worker].Add(item);
            loads[worker] += costs[item];
        }

        return [.. shares.Select(share => share.Order().ToArray())];
    }
}
