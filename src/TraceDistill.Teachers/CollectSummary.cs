using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Telemetry;
using static System.FormattableString;

namespace TraceDistill.Teachers;

/// <summary>Result of a collection, over all runs that contributed to it.</summary>
/// <param name="Count">Traces published.</param>
/// <param name="Correct">Traces with a correct answer.</param>
/// <param name="Tokens">Tokens in them.</param>
/// <param name="Bytes">Size of the shards on disk.</param>
/// <param name="BytesPerToken">Of which for each token.</param>
/// <param name="TopK">Alternatives kept for each token.</param>
/// <param name="Collected">Traces that this run added.</param>
/// <param name="Failed">Samples that failed in this run and are missing; running again asks for them again.</param>
/// <param name="Length">Traces that were cut off at the longest length allowed.</param>
/// <param name="Refusal">Traces that are refusals, prompts that are too long for the teacher's context included.</param>
/// <param name="Empty">Traces that ended without an answer.</param>
public sealed record CollectSummary(
    long Count,
    long Correct,
    long Tokens,
    long Bytes,
    double BytesPerToken,
    int TopK,
    long Collected,
    long Failed,
    long Length,
    long Refusal,
    long Empty
)
{
    /// <summary>
    /// <c>budget</c> where the budget was spent before all traces were there; null where
    /// nothing is missing but what may be, and a recipe need not come back to it.
    /// </summary>
    public string? StoppedBy { get; init; }

    /// <summary>The setting whose limit stopped it; null where <see cref="StoppedBy"/> is.</summary>
    public string? SpentSetting { get; init; }

    /// <summary>Traces that are missing, as <see cref="TeacherOptions.AllowMissing"/> says they may.</summary>
    public long Missing { get; init; }

    /// <summary>Traces that were broken off for another reason than their length.</summary>
    public long Unfinished { get; init; }

    /// <summary>
    /// Traces that are kept and not published: not correct (<see cref="GenerateOptions.OnlyCorrect"/>) or not agreed on
    /// (<see cref="GenerateOptions.MinAgreement"/>).
    /// </summary>
    public long LeftOut { get; init; }

    /// <summary>Usage of the teacher; null where nothing is known about it.</summary>
    public CollectionUsage? Usage { get; init; }

    /// <summary>
    /// One line for who waited for it:
    /// <c>400 traces (234 new), 91 % correct, 3 cut off; 29,480 tokens at 33.1 bytes; requests took 0.8 s (p50), 1.9 s (p95)</c>.
    /// </summary>
    public override string ToString()
    {
        var traces = string.Join(
            ", ",
            new[]
            {
                Invariant($"{Counted.Of(Count, "trace")} ({(Collected == Count + LeftOut ? "all" : $"{Collected:N0}")} new)"),
                Invariant($"{100.0 * Correct / Math.Max(1, Count):0.#} % correct"),
                LeftOut > 0 ? Invariant($"{LeftOut:N0} others are left out") : null,
                Length > 0 ? Invariant($"{Length:N0} cut off") : null,
                Unfinished > 0 ? Invariant($"{Unfinished:N0} unfinished") : null,
                Refusal > 0 ? Invariant($"{Refusal:N0} refused") : null,
                Missing > 0 ? Invariant($"{Missing:N0} missing") : null,
                Empty > 0 ? Invariant($"{Empty:N0} without an answer") : null,
            }.OfType<string>()
        );
        var latency = Usage?.Latency is { P50: { } half, P95: { } most }
            ? Invariant($"; requests took {half:0.0#} s (p50), {most:0.0#} s (p95)")
            : "";
        var cost = Usage?.Cost is { } paid ? Invariant($"; cost {paid:0.####}") : "";
        return Invariant($"{traces}; {Tokens:N0} tokens at {BytesPerToken:0.0} bytes") + latency + cost;
    }
}
