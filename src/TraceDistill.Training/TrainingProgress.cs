namespace TraceDistill.Training;

/// <summary>Progress of a training and its memory of the losses: all that a checkpoint needs beside weights and moments.</summary>
public record struct TrainingProgress
{
    /// <summary>Batches gone through, those that were left out included.</summary>
    public long Step { get; set; }

    /// <summary>Mean loss of the last step, nats.</summary>
    public double Loss { get; set; }

    /// <summary>Moving average of the loss, by which a spike is known.</summary>
    public double MeanLoss { get; set; }

    /// <summary>Losses in the average.</summary>
    public long Losses { get; set; }

    /// <summary>Batches that were left out, one after another, up to now.</summary>
    public long LeftOut { get; set; }

    /// <summary>Batches whose gradient was 0 before anything was learned.</summary>
    public long Idle { get; set; }

    /// <summary>True once a step had a gradient and was made.</summary>
    public bool HasLearned { get; set; }

    /// <summary>The step after which the last evaluation was made.</summary>
    public long EvaluatedStep { get; set; }

    /// <summary>The best value of the metric.</summary>
    public double Best { get; set; }

    /// <summary>The step it was seen at; 0 before there is a number.</summary>
    public long BestStep { get; set; }

    /// <summary>
    /// The value that early stopping compares with: the last that was better than its predecessor by more than early_stopping_threshold.
    /// </summary>
    public double Target { get; set; }

    /// <summary>Evaluations since then.</summary>
    public long Stale { get; set; }

    internal static TrainingProgress Read(BinaryReader reader) =>
        new()
        {
            Step = reader.ReadInt64(),
            Loss = reader.ReadDouble(),
            MeanLoss = reader.ReadDouble(),
            Losses = reader.ReadInt64(),
            LeftOut = reader.ReadInt64(),
            Idle = reader.ReadInt64(),
            HasLearned = reader.ReadBoolean(),
            EvaluatedStep = reader.ReadInt64(),
            Best = reader.ReadDouble(),
            BestStep = reader.ReadInt64(),
            Target = reader.ReadDouble(),
            Stale = reader.ReadInt64(),
        };

    internal readonly void Write(BinaryWriter writer)
    {
        writer.Write(Step);
        writer.Write(Loss);
        writer.Write(MeanLoss);
        writer.Write(Losses);
        writer.Write(LeftOut);
        writer.Write(Idle);
        writer.Write(HasLearned);
        writer.Write(EvaluatedStep);
        writer.Write(Best);
        writer.Write(BestStep);
        writer.Write(Target);
        writer.Write(Stale);
    }
}
