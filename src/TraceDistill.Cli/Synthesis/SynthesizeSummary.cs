namespace TraceDistill.Cli.Synthesis;

/// <summary>Result of a search.</summary>
/// <param name="Problems">Problems kept.</param>
/// <param name="Traces">The teacher's verified traces of them.</param>
/// <param name="Tokens">Tokens in them.</param>
/// <param name="Candidates">Problems tried.</param>
/// <param name="Verified">Those with a verified answer.</param>
/// <param name="Rounds">By round.</param>
sealed record SynthesizeSummary(
    long Problems,
    long Traces,
    long Tokens,
    long Candidates,
    long Verified,
    IReadOnlyList<SynthesisRound> Rounds
);
