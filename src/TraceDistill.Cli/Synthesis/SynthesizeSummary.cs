namespace TraceDistill.Cli.Synthesis;

/// <summary>Result of a search.</summary>
/// <param name="Problems">Problems kept.</param>
/// <param name="Traces">The teacher's right traces of the problems kept.</param>
/// <param name="Tokens">Tokens in these traces.</param>
/// <param name="Candidates">Problems tried.</param>
/// <param name="Verified">Those of the problems tried that the teacher answered right, or agrees with itself on.</param>
/// <param name="Compared">Those of the verified problems at which the student could be compared with the teacher.</param>
/// <param name="Rounds">By round.</param>
sealed record SynthesizeSummary(
    long Problems,
    long Traces,
    long Tokens,
    long Candidates,
    long Verified,
    long Compared,
    IReadOnlyList<SynthesisRound> Rounds
)
{
    /// <summary>
    /// <c>budget</c> where the budget was spent before the last round, which a run with a larger one goes on to; else null.
    /// </summary>
    public string? StoppedBy { get; init; }
}
