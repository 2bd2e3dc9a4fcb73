namespace TraceDistill.Training.Objectives;

/// <summary>Policy for the probability that top-k soft targets leave out.</summary>
public enum MissingMass
{
    /// <summary>
    /// One further outcome, "any other token", on both sides: nothing is invented and the divergence is exact for the coarser outcome set.
    /// </summary>
    TailBucket,

    /// <summary>Teacher and student are both renormalised over the teacher's k tokens; the student is free outside them.</summary>
    Renormalize,
}
