namespace TraceDistill.Training.Distributions;

/// <summary>Policy for the probability that top-k soft targets leave out.</summary>
public enum MissingMass
{
    /// <summary>
    /// One further outcome, "any other token", on both sides: nothing is invented and the divergence is exact for the coarser outcome set.
    /// </summary>
    TailBucket,

    /// <summary>Teacher and student are both renormalised over the teacher's k tokens; the student is free outside them.</summary>
    Renormalize,

    /// <summary>The missing mass is spread evenly over all other tokens, and the whole vocabulary is compared.</summary>
    UniformTail,

    /// <summary>
    /// The missing mass is added to the drawn token, which joins the outcomes where the teacher did not report it; all others have none.
    /// </summary>
    ResidualToLabel,

    /// <summary>
    /// The teacher's k tokens, renormalised, are taken for all that it says, and the student's whole distribution is compared: plain top-k
    /// distillation, which teaches too much of the k and nothing of the others.
    /// </summary>
    Truncate,
}
