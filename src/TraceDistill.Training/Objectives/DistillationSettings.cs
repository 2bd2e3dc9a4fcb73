namespace TraceDistill.Training.Objectives;

/// <summary>The loss of one step: <c>kd_alpha · (T² · KL + uld · L₁) + (1 − kd_alpha) · CE + z · log² Z</c>.</summary>
/// <param name="KdAlpha">Weight of the soft targets, 0 to 1; a token without soft targets takes the whole hard loss.</param>
/// <param name="KdTemperature">T: teacher and student are both tempered by it.</param>
/// <param name="MissingMass">Treatment of the probability outside the top k.</param>
/// <param name="UldWeight">
/// Weight of the distance L₁ between sorted probabilities of what the student has no tokens for; see <see cref="UniversalLogit"/>.
/// </param>
/// <param name="ZLossWeight">z: weight of <see cref="ZLoss"/>, for all tokens.</param>
public readonly record struct DistillationSettings(
    double KdAlpha,
    double KdTemperature,
    MissingMass MissingMass,
    double UldWeight = 0,
    double ZLossWeight = 0
)
{
    /// <summary>Names of the objectives in reports.</summary>
    public const string CrossEntropyName = "ce",
        DivergenceName = "kd",
        UniversalLogitName = "uld",
        ZLossName = "z";

    /// <summary>Objectives of these settings that do not go with <see cref="MissingMass"/>, and why.</summary>
    public IEnumerable<(string Name, string Reason)> Refused()
    {
        foreach (var term in Terms())
        {
            if (term.Objective.Refuses(MissingMass) is { } reason)
            {
                yield return (term.Name, reason);
            }
        }
    }

    /// <summary>The objectives of these settings; those without a weight are left out.</summary>
    public IReadOnlyList<ObjectiveTerm> Terms()
    {
        // Where there are soft targets, the hard loss counts 1 − α; elsewhere all.
        var terms = new List<ObjectiveTerm> { new(CrossEntropyName, new CrossEntropy(), 1, 1 - KdAlpha) };
        if (KdAlpha > 0)
        {
            terms.Add(new(DivergenceName, new ForwardDivergence(KdTemperature, MissingMass), 0, KdAlpha * KdTemperature * KdTemperature));
        }

        if (KdAlpha > 0 && UldWeight > 0)
        {
            terms.Add(new(UniversalLogitName, new UniversalLogit(), 0, KdAlpha * UldWeight));
        }

        if (ZLossWeight > 0)
        {
            terms.Add(new(ZLossName, new ZLoss(), ZLossWeight, ZLossWeight));
        }

        return terms;
    }
}
