namespace TraceDistill.Training.Objectives;

/// <summary>Sums over trained tokens in float64; divide by <see cref="Tokens"/> once, over the whole global batch.</summary>
public struct LossTotals
{
    /// <summary>The loss that is minimised.</summary>
    public double Loss { get; set; }

    /// <summary>Cross entropy with the sampled token, nats.</summary>
    public double CrossEntropy { get; set; }

    /// <summary>KL(teacher ‖ student) over top-k and tail at the temperature, nats, without α and T²; of <see cref="SoftTokens"/> alone.</summary>
    public double Divergence { get; set; }

    /// <summary>Distance between sorted probabilities of what the student has no tokens for, without its weight; of <see cref="SoftTokens"/> alone.</summary>
    public double Uld { get; set; }

    /// <summary>Squared logarithm of the softmax's normalizer, without its weight; 0 where it has none.</summary>
    public double ZLoss { get; set; }

    /// <summary>The experts' load-balancing loss with its weight; 0 where there is none.</summary>
    public double Routers { get; set; }

    /// <summary>Trained tokens.</summary>
    public long Tokens { get; set; }

    /// <summary>Those of them that have soft targets, where these have a weight.</summary>
    public long SoftTokens { get; set; }

    public void Add(in LossTotals other)
    {
        Loss += other.Loss;
        CrossEntropy += other.CrossEntropy;
        Divergence += other.Divergence;
        Uld += other.Uld;
        ZLoss += other.ZLoss;
        Routers += other.Routers;
        Tokens += other.Tokens;
        SoftTokens += other.SoftTokens;
    }

    /// <summary>Adds a load-balancing loss, which is a part of the loss that is minimised.</summary>
    public void AddRouters(double loss)
    {
        Loss += loss;
        Routers += loss;
    }
}
