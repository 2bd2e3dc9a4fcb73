namespace TraceDistill.Training.Objectives;

/// <summary>Weights of tokens within an objective; constants, from 0 to 1, that are not made to have a mean of 1.</summary>
public enum TokenWeight
{
    /// <summary>All alike.</summary>
    Uniform,

    /// <summary>e^(−H) with the entropy H of the teacher: 1 where it is certain.</summary>
    Confidence,

    /// <summary>½ · Σ |p − q|: 0 where the student has the teacher's distribution already.</summary>
    Gap,
}
