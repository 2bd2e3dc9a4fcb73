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

    /// <summary>Those of the verified ones at which the student could be compared with it.</summary>
    public int Compared => Arms.Sum(arm => arm.Compared);

    /// <summary>Mean over the compared ones.</summary>
    public double Disagreement => Arms.Sum(arm => arm.Disagreement * arm.Compared) / Math.Max(1, Compared);
}

/// <summary>A place of the search in a round.</summary>
/// <param name="Family">The family, or <c>invented</c>.</param>
/// <param name="Level">From 1; 0 where there is none.</param>
/// <param name="Share">Of the round's candidates.</param>
/// <param name="Candidates">Problems tried.</param>
/// <param name="Verified">Those of them that the teacher answered right, or agrees with itself on.</param>
/// <param name="Compared">
/// Those of these at which the student could be compared with it: for kl, with soft targets and within the student's positions.
/// </param>
/// <param name="Disagreement">Mean over the compared ones; 0 where there are none.</param>
/// <param name="Kept">Those of the compared ones that the round kept.</param>
sealed record SynthesisArm(
    string Family,
    int Level,
    double Share,
    int Candidates,
    int Verified,
    int Compared,
    double Disagreement,
    int Kept
);

/// <summary>A problem that was kept.</summary>
/// <param name="Id">The problem.</param>
/// <param name="Disagreement">Of teacher and student.</param>
sealed record KeptProblem(string Id, double Disagreement);
