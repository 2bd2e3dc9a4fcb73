using TraceDistill.Cli.Progress;

namespace TraceDistill.Cli.Recipes;

/// <summary>Tells whether there is memory for one more stage beside those that are running.</summary>
/// <param name="available">Memory that may still be taken, in bytes; null where it is not known.</param>
/// <param name="estimate">Most memory that a stage takes, in bytes.</param>
/// <param name="held">Memory that a running stage holds by now, in bytes.</param>
sealed class MemoryGate(Func<long?> available, Func<PlannedStage, long> estimate, Func<string, long> held)
{
    /// <summary>
    /// The memory that is missing for a stage, in words that go on "waits for"; null where
    /// there is enough, or it is not known how much there is.
    /// </summary>
    /// <param name="running">Each is left what it may still take.</param>
    public string? Shortage(PlannedStage stage, IEnumerable<PlannedStage> running)
    {
        if (available() is not { } free)
        {
            return null;
        }

        var left = free - running.Sum(other => Math.Max(0, estimate(other) - held(other.Name)));
        var needed = estimate(stage);
        return needed <= left
            ? null
            : $"memory: it needs about {ProgressText.Bytes(needed)}, and {ProgressText.Bytes(Math.Max(0, left))} are left";
    }
}
