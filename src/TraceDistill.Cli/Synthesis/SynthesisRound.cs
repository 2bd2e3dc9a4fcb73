namespace TraceDistill.Cli.Synthesis;

/// <summary>A round of a search, written once all of it is known.</summary>
/// <param name="Round">From 1.</param>
/// <param name="Arms">Where it drew from.</param>
/// <param name="Kept">Problems that it kept, those with the most disagreement first.</param>
sealed record SynthesisRound(int Round, IReadOnlyList<SynthesisArm> Arms, IReadOnlyList<KeptProblem> Kept)
{
    /// <summary>Problems tried.</summary>
    public int Candidates => Arms.Sum(arm => arm.Candidates);

    /// <summary>Those that the teacher answered right, or agrees with itself on.</summary>
    public int Verified => Arms.Sum(arm => arm.Verified);

    /// <summary>Mean over the verified ones.</summary>
    public double Disagreement => Arms.Sum(arm => arm.Disagreement * arm.Verified) / Math.Max(1, Verified);
}

/// <summary>A place of the search in a round.</summary>
/// <param name="Family">The family, or <c>invented</c>.</param>
/// <param name="Level">From 1; 0 where there is none.</param>
/// <param name="Share">Of the round's candidates.</param>
/// <param name="Candidates">Problems tried.</param>
/// <param name="Verified">Those with a verified answer.</param>
/// <param name="Disagreement">Mean over these; 0 where there are none.</param>
/// <param name="Kept">Those that the round kept.</param>
sealed record SynthesisArm(string Family, int Level, double Share, int Candidates, int Verified, double Disagreement, int Kept);

/// <summary>A problem that was kept.</summary>
/// <param name="Id">The problem.</param>
/// <param name="Disagreement">Of teacher and student.</param>
sealed record KeptProblem(string Id, double Disagreement);
