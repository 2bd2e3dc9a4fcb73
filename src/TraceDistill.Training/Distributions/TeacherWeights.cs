namespace TraceDistill.Training.Distributions;

/// <summary>What decides how much each of several teachers counts at a token.</summary>
public enum TeacherWeights
{
    /// <summary>The weight of each.</summary>
    Fixed,

    /// <summary>The weight of each, and another one at traces whose answer was found incorrect.</summary>
    Verdict,

    /// <summary>The weight of each times the probability of its most probable token.</summary>
    Confidence,

    /// <summary>The weight of each times e^(−H), with the entropy H of its distribution in nats.</summary>
    Entropy,

    /// <summary>The weight of each times e^a, where a is learned: linear in the student's hidden state and in how certain each
    /// is.</summary>
    Gate,
}

/// <summary>How the distributions of several teachers become one.</summary>
public enum TeacherAverage
{
    /// <summary>Σ w p.</summary>
    Probability,

    /// <summary>e^(Σ w log p), normalised.</summary>
    Log,
}

/// <summary>One of several teachers.</summary>
/// <param name="Stored">Its place among those whose soft targets are stored; null for a model.</param>
/// <param name="Weight">Beside the others'.</param>
/// <param name="IncorrectWeight">The same at traces whose answer was found incorrect.</param>
public readonly record struct PanelMember(int? Stored, double Weight, double IncorrectWeight);
