using System.ComponentModel;
using TraceDistill.Core.Errors;
using TraceDistill.Training.Kernels;

namespace TraceDistill.Training.Optimization;

/// <summary>Settings that every kind of training shares; names as in Transformers and TRL.</summary>
public record OptimizationOptions
{
    /// <value>1e-3.</value>
    [Description("peak learning rate")]
    public double LearningRate { get; init; } = 1e-3;

    /// <value>1,000 updates.</value>
    [Description("number of updates")]
    public int MaxSteps { get; init; } = 1_000;

    /// <value>8,192 tokens, prompts included.</value>
    [Description("tokens of one batch, prompts included")]
    public int BatchTokens { get; init; } = 8_192;

    /// <value>1.</value>
    [Description("batches whose gradients make one update")]
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>What one forward pass takes; smaller stays in cache, and the gradient does not depend on it beyond rounding.</summary>
    /// <value>1,024 tokens.</value>
    [Description("tokens of one forward pass; bounds memory, does not change the result beyond rounding")]
    public int MicroBatchTokens { get; init; } = 1_024;

    /// <value>0.03.</value>
    [Description("share of the updates in which the learning rate rises from zero")]
    public double WarmupRatio { get; init; } = 0.03;

    /// <value>Null: warmup_ratio counts.</value>
    [Description("updates in which the learning rate rises from zero, instead of warmup_ratio")]
    public int? WarmupSteps { get; init; }

    /// <value>0.25.</value>
    [Description("share of the updates in which warmup_stable_decay decays")]
    public double LrDecayRatio { get; init; } = 0.25;

    /// <value>Cosine.</value>
    [Description("learning rate after warm-up: cosine, linear, constant or warmup_stable_decay")]
    public LrSchedulerType LrSchedulerType { get; init; } = LrSchedulerType.Cosine;

    /// <value>0.05.</value>
    [Description("last learning rate as a share of the peak")]
    public double MinLrRatio { get; init; } = 0.05;

    /// <value>1.0; 0 turns clipping off.</value>
    [Description("largest norm of the gradient; 0 turns clipping off")]
    public double MaxGradNorm { get; init; } = 1.0;

    /// <value>0.01.</value>
    [Description("decoupled weight decay; norm weights are exempt")]
    public double WeightDecay { get; init; } = 0.01;

    /// <value>0.9.</value>
    [Description("AdamW's decay of the mean gradient")]
    public double AdamBeta1 { get; init; } = 0.9;

    /// <value>0.98.</value>
    [Description("AdamW's decay of the mean squared gradient")]
    public double AdamBeta2 { get; init; } = 0.98;

    /// <value>1e-8.</value>
    [Description("AdamW's epsilon")]
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <value>0.</value>
    [Description("seed of initial weights and of the order of sequences")]
    public long Seed { get; init; }

    /// <value>200 updates.</value>
    [Description("updates between checkpoints")]
    public int SaveSteps { get; init; } = 200;

    /// <value>10 updates.</value>
    [Description("updates between entries of the metrics")]
    public int LoggingSteps { get; init; } = 10;

    /// <summary>Part of the arithmetic: another number of workers adds gradients in another order, so results differ in the last bits.</summary>
    /// <value>0: one for each core.</value>
    [Description("threads that compute gradients; 0 is one for each core")]
    public int Workers { get; init; }

    /// <value>float32.</value>
    [Description("precision of the layers' matrix products: float32 or bfloat16; weights, loss and optimizer are float32")]
    public ComputeDtype ComputeDtype { get; init; }

    /// <summary>The learning rate's course.</summary>
    public LearningRateSchedule Schedule() =>
        new(LearningRate, WarmupSteps ?? (long)Math.Ceiling(WarmupRatio * MaxSteps), MinLrRatio, LrDecayRatio, LrSchedulerType);

    /// <summary>Names every setting that cannot be used.</summary>
    protected virtual IEnumerable<string> Faults()
    {
        foreach (var (name, value) in new[]
                 {
                     ("max_steps", MaxSteps), ("batch_tokens", BatchTokens), ("gradient_accumulation_steps", GradientAccumulationSteps),
                     ("micro_batch_tokens", MicroBatchTokens), ("save_steps", SaveSteps), ("logging_steps", LoggingSteps),
                 })
        {
            if (value < 1)
            {
                yield return $"{name} is {value} but must be at least 1";
            }
        }

        foreach (var (name, value, low, high) in new (string, double, double, double)[]
                 {
                     ("learning_rate", LearningRate, double.Epsilon, 10), ("warmup_ratio", WarmupRatio, 0, 1), ("min_lr_ratio", MinLrRatio, 0, 1), ("lr_decay_ratio", LrDecayRatio, 0, 1),
                     ("warmup_steps", WarmupSteps ?? 0, 0, int.MaxValue),
                     ("max_grad_norm", MaxGradNorm, 0, double.MaxValue), ("weight_decay", WeightDecay, 0, 1), ("adam_beta1", AdamBeta1, 0, 0.999999),
                     ("adam_beta2", AdamBeta2, 0, 0.9999999), ("adam_epsilon", AdamEpsilon, double.Epsilon, 1), ("workers", Workers, 0, 1024),
                 })
        {
            if (!(value >= low && value <= high))
            {
                yield return $"{name} is {value} but must lie between {low} and {high}";
            }
        }
    }

    /// <exception cref="InvalidInputException">Some settings cannot be used; all are named.</exception>
    public void Validate()
    {
        var problems = Faults().ToList();
        if (problems.Count > 0)
        {
            throw new InvalidInputException(string.Join("; ", problems));
        }
    }
}
