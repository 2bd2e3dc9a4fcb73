using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Optimization;

/// <summary>Ways to go on after a step that would spoil the weights.</summary>
public enum DivergencePolicy
{
    /// <summary>The training ends with an error.</summary>
    Stop,

    /// <summary>The batch is left out.</summary>
    Skip,

    /// <summary>
    /// Weights and moments are those of the last checkpoint again, and the batches since then
    /// are left behind (Chowdhery et al., arXiv 2204.02311, section 5.1).
    /// </summary>
    Rollback,
}

/// <summary>
/// Settings that every kind of training shares, those of the problem files that it reads among them; names as in Transformers and TRL.
/// </summary>
public record OptimizationOptions : ProblemReaderOptions, IDeviceOptions
{
    /// <value>1e-3.</value>
    [Range(1e-12, 10.0, ErrorMessage = "must be above 0 and at most 10")]
    [Description("Peak learning rate")]
    public double LearningRate { get; init; } = 1e-3;

    /// <value>adamw.</value>
    [Description(
        "Optimizer: adamw, adamw8bit (its moments in a byte each), lion, or muon for the matrices of the layers and adamw for the rest"
    )]
    public OptimizerKind Optim { get; init; }

    /// <value>0.02.</value>
    [Range(1e-12, 10.0, ErrorMessage = "must be above 0 and at most 10")]
    [Description("Peak learning rate of muon's matrices; learning_rate is adamw's")]
    public double MuonLearningRate { get; init; } = 0.02;

    /// <value>0.</value>
    [Range(0.0, 100.0, ErrorMessage = "must be from 0 to 100")]
    [Description("Decoupled weight decay of muon's matrices; weight_decay is adamw's")]
    public double MuonWeightDecay { get; init; }

    /// <value>1,000 steps.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Number of optimizer steps")]
    public int MaxSteps { get; init; } = 1_000;

    /// <value>Null: max_steps counts.</value>
    [InPlaceOf(nameof(MaxSteps))]
    [Range(1e-9, 1e9, ErrorMessage = "must be above 0")]
    [Description("Passes over the data, also a fraction of one, in place of max_steps")]
    public double? NumTrainEpochs { get; init; }

    /// <value>8,192 tokens, prompts included.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Tokens of one batch, prompts included")]
    public int BatchTokens { get; init; } = 8_192;

    /// <value>1.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Batches of batch_tokens accumulated per optimizer step")]
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>Tokens of one forward pass; smaller stays in cache, and the gradient does not depend on it beyond rounding.</summary>
    /// <value>1,024 tokens.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Tokens of one forward pass; bounds memory, and changes nothing but what rkd, crd and cka compare, beyond rounding")]
    public int MicroBatchTokens { get; init; } = 1_024;

    /// <summary>Layers keep their inputs alone; the backward pass computes the rest again. No bit of the result depends on it.</summary>
    /// <value>False.</value>
    [Operational]
    [Description(
        "Recompute activations in the backward pass: a quarter to a half slower, a fraction of the memory; "
            + "for long traces and large students"
    )]
    public bool GradientCheckpointing { get; init; }

    /// <value>0.03.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Fraction of steps used for warmup")]
    public double WarmupRatio { get; init; } = 0.03;

    /// <value>Null: warmup_ratio counts.</value>
    [InPlaceOf(nameof(WarmupRatio))]
    [Range(0, int.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Steps used for warmup, instead of warmup_ratio")]
    public int? WarmupSteps { get; init; }

    /// <value>0.25.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Fraction of steps in which warmup_stable_decay decays")]
    public double LrDecayRatio { get; init; } = 0.25;

    /// <value>Cosine.</value>
    [Description("Learning rate after warmup: cosine, linear, constant or warmup_stable_decay")]
    public LrSchedulerType LrSchedulerType { get; init; } = LrSchedulerType.Cosine;

    /// <value>0.05.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Learning rate of the last step as a fraction of the peak; with 0 it would reach 0 one step later")]
    public double MinLrRatio { get; init; } = 0.05;

    /// <value>1.0; 0 turns clipping off.</value>
    [Range(0.0, double.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Largest norm of the gradient; 0 turns clipping off")]
    public double MaxGradNorm { get; init; } = 1.0;

    /// <value>0.01.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Decoupled weight decay; norms and other vectors are exempt")]
    public double WeightDecay { get; init; } = 0.01;

    /// <value>0.9.</value>
    [Range(0.0, 0.9999999, ErrorMessage = "must be from 0 to below 1")]
    [Description("Decay of the mean gradient; of lion, the mean's share in a step")]
    public double AdamBeta1 { get; init; } = 0.9;

    /// <value>0.98.</value>
    [Range(0.0, 0.9999999, ErrorMessage = "must be from 0 to below 1")]
    [Description("Decay of the mean squared gradient; of lion, of the mean gradient")]
    public double AdamBeta2 { get; init; } = 0.98;

    /// <value>1e-8.</value>
    [Range(1e-30, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("Epsilon of AdamW")]
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>
    /// Jain et al., "NEFTune" (arXiv 2310.05914): the noise is uniform in ±alpha/√(tokens of the sequence · hidden_size), and there is none
    /// in evaluation.
    /// </summary>
    /// <value>0: none; 5 is usual.</value>
    [Range(0.0, 1_000.0, ErrorMessage = "must be from 0 to 1000")]
    [Description("Size of the noise added to embeddings in training (NEFTune); 0 adds none, 5 is usual")]
    public double NeftuneNoiseAlpha { get; init; }

    /// <value>0: none; 1e-4 is usual.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Weight of the z-loss, the squared logarithm of the softmax's normalizer; 0 turns it off, 1e-4 is usual")]
    public double ZLossWeight { get; init; }

    /// <value>0.</value>
    [Description("Seed of initial weights, of the order of sequences, and of noise and dropout")]
    public long Seed { get; init; }

    /// <value>200 steps.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Steps between checkpoints")]
    public int SaveSteps { get; init; } = 200;

    /// <value>0: the state that training goes on from is the only one.</value>
    [Range(0, 100_000, ErrorMessage = "must be from 0 to 100000")]
    [Description("Models of the last so many checkpoints to keep, as checkpoint-STEP beside the model; 0 keeps none")]
    public int SaveTotalLimit { get; init; }

    /// <value>0: none.</value>
    [Range(0.0, 0.9999999, ErrorMessage = "must be from 0 to below 1")]
    [Description("Decay of an exponential moving average of the weights, which is then evaluated and kept; 0 turns it off, 0.999 is usual")]
    public double EmaDecay { get; init; }

    /// <value>stop.</value>
    [Description(
        "Reaction to a loss or gradient that is not finite, or to a spike: stop, "
            + "skip the batch, or rollback to the last checkpoint and go on after the batch"
    )]
    public DivergencePolicy OnDivergence { get; init; }

    /// <value>0: only losses and gradients that are not finite count.</value>
    [Range(0.0, double.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Multiple of the mean loss of the last steps above which a loss is a spike; 0 turns the check off")]
    public double SpikeFactor { get; init; }

    /// <value>10 steps.</value>
    [Operational]
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Steps between entries of the metrics")]
    public int LoggingSteps { get; init; } = 10;

    /// <summary>No bit of the result depends on it.</summary>
    /// <value>0: one for each core.</value>
    [Operational]
    [Range(0, 1024, ErrorMessage = "must be from 0 to 1024")]
    [Description("Threads that compute gradients; 0 is one for each core")]
    public int Workers { get; init; }

    /// <summary>A training that goes on on another device than it began on has other last bits.</summary>
    /// <value>auto.</value>
    [Operational]
    [Description("Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    /// <value>float32.</value>
    [Description(
        "Precision of matrix products: float32, bfloat16 where the device has it, or auto, the faster of the two; "
            + "weights, logits, loss and optimizer are float32"
    )]
    public ComputeDtype ComputeDtype { get; init; }

    /// <value>float32.</value>
    [Description("Precision of trainable parameters and moments: float32, or bfloat16 with stochastic rounding, for half of the memory")]
    public MasterDtype MasterDtype { get; init; }

    /// <summary>
    /// Passes read matrices as the file has them, and gradients go to the weights as if those were read. What is evaluated
    /// and kept has them so too, in float32; the training itself, and what it resumes from, go on with the weights.
    /// </summary>
    /// <value>none.</value>
    [Description(
        "Quantized GGUF type that the model is trained for, q8_0 or q4_0, so that its export to that type changes nothing more; "
            + "none trains for float32"
    )]
    public QuantizationAware QuantizationAware { get; init; }

    /// <summary>Evaluations and kept models have the file's values before it as well.</summary>
    /// <value>0.8.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Fraction of steps before passes read matrices as the file of quantization_aware has them; until then as they are")]
    public double QuantizationStart { get; init; } = 0.8;

    /// <summary>These settings with one value for all that have no say in the weights: fields of files, and operational ones.</summary>
    internal OptimizationOptions Deciding() =>
        this with
        {
            ProblemField = [],
            AnswerField = null,
            SolutionField = null,
            Duplicates = default,
            GradientCheckpointing = false,
            Workers = 0,
            LoggingSteps = 1,
            SaveTotalLimit = 0,
            Device = DeviceChoice.Auto,
        };

    /// <summary>The first step whose passes read the file's blocks; null where they never do.</summary>
    internal long? QuantizationStartStep =>
        QuantizationAware == QuantizationAware.None ? null : (long)Math.Ceiling(QuantizationStart * MaxSteps);

    /// <summary>How the file that the model is trained for stores its matrices; null where it is trained for none.</summary>
    internal BlockPlan? Blocks(ModelConfiguration shape) => TensorPlan.BlocksOf(shape, QuantizationAware);

    /// <summary>Returns whether products round the file's values to bfloat16 once more.</summary>
    internal bool RoundsBlocks(TorchSharp.torch.Device device) =>
        QuantizationAware != QuantizationAware.None && ComputeDtype.On(device) == ComputeDtype.BFloat16;

    /// <summary>What <see cref="RoundsBlocks"/> means, for whoever trains so.</summary>
    internal const string BlocksAreRounded =
        "products in bfloat16 round the file's values once more, to 8 bits, which for q8_0 is about as coarse as the file itself: "
        + "passes read other values than what is evaluated and kept; compute_dtype: float32 reads the file's";

    /// <summary>Number of optimizer steps: <see cref="NumTrainEpochs"/> over the data of a plan, or <see cref="MaxSteps"/>.</summary>
    internal int StepsFor(BatchPlan? plan) => NumTrainEpochs is { } epochs && plan is not null ? plan.UpdatesOf(epochs) : MaxSteps;

    /// <summary>Factor of decoupled weight decay.</summary>
    /// <param name="isDecayed">True where a weight is a matrix: vectors are exempt.</param>
    internal float DecayFactor(bool isDecayed, double learningRate) => isDecayed ? (float)(1 - learningRate * WeightDecay) : 1f;

    /// <summary>What a gradient of a norm is multiplied by, so that it has at most <see cref="MaxGradNorm"/>.</summary>
    internal double ClipOf(double norm) => MaxGradNorm > 0 ? Math.Min(1, MaxGradNorm / norm) : 1;

    /// <summary>Tokens of one optimizer step.</summary>
    internal int UpdateTokens => (int)Math.Min(int.MaxValue, (long)BatchTokens * GradientAccumulationSteps);

    /// <summary>Threads to use on this machine.</summary>
    public int ResolveWorkers() => Workers > 0 ? Workers : Environment.ProcessorCount;

    /// <summary>The learning rate's course.</summary>
    public LearningRateSchedule CreateSchedule() =>
        new(LearningRate, WarmupSteps ?? (long)Math.Ceiling(WarmupRatio * MaxSteps), MinLrRatio, LrDecayRatio, LrSchedulerType);
}
