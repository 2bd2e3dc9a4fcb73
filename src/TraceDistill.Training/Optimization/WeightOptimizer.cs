using TraceDistill.Models;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>Rules by which weights follow their gradient.</summary>
public enum OptimizerKind
{
    /// <summary>AdamW for all weights.</summary>
    Adamw,

    /// <summary>AdamW whose moments take one byte a weight each instead of four.</summary>
    Adamw8bit,

    /// <summary>Lion: the sign of the momentum; one moment.</summary>
    Lion,

    /// <summary>
    /// Muon for the matrices of the layers, AdamW for embeddings and norms: a small model from scratch needs far fewer tokens.
    /// </summary>
    Muon,
}

/// <summary>Updates the trained weights of a model; holds the moments that a checkpoint must keep.</summary>
public sealed class WeightOptimizer : IDisposable
{
    readonly OptimizationOptions _options;
    readonly TrainedWeights _trained;
    readonly List<(IUpdateRule Rule, double LearningRatio)> _rules = [];

    public WeightOptimizer(OptimizationOptions options, TrainedWeights trained)
    {
        (_options, _trained) = (options, trained);
        string[] names = [.. trained.Names];
        string[] muons = [.. names.Where(name => options.Optim == OptimizerKind.Muon && Muon.Takes(name, trained.Weights.ShapeOf(name)))];
        if (muons.Length > 0)
        {
            _rules.Add((new Muon(options, trained, muons), options.MuonLearningRate / options.LearningRate));
        }

        string[] others = [.. names.Except(muons)];
        _rules.Add(
            (
                options.Optim switch
                {
                    OptimizerKind.Adamw8bit => new AdamW8Bit(options, trained, others),
                    OptimizerKind.Lion => new Lion(options, trained, others),
                    _ => new AdamW(options, trained, others),
                },
                1
            )
        );
    }

    /// <summary>Bytes of the moments of so many trained weights, at most.</summary>
    public static long MomentBytes(OptimizerKind kind, long weights, MasterDtype dtype) =>
        kind switch
        {
            OptimizerKind.Adamw8bit => 2 * weights + 2 * sizeof(float) * (weights / AdamW8Bit.Block),
            OptimizerKind.Lion => dtype.Bytes() * weights,
            _ => 2L * dtype.Bytes() * weights,
        };

    /// <summary>One optimizer step.</summary>
    /// <param name="gradient">Of the trained weights; used up.</param>
    /// <param name="scale">Multiplies the gradient: normalisation and clipping in one.</param>
    /// <param name="learningRate">Of AdamW and Lion; Muon's is in the same proportion to its own peak.</param>
    /// <param name="update">Counts from 1.</param>
    public void Step(FloatBuffer gradient, double scale, double learningRate, long update)
    {
        using var rounding =
            _trained.Weights.Flat.Dtype == ScalarType.Float32 ? null : new StochasticRounding(_options.Seed, update, gradient.Device);
        foreach (var (rule, ratio) in _rules)
        {
            rule.Step(gradient, scale, learningRate * ratio, update, rounding);
        }
    }

    /// <summary>Shows the memory of all moments, always in the same order: to be written to a checkpoint, or filled from one.</summary>
    public void Visit(BytesVisitor visit)
    {
        foreach (var (rule, _) in _rules)
        {
            rule.Visit(visit);
        }
    }

    public void Dispose()
    {
        foreach (var (rule, _) in _rules)
        {
            rule.Dispose();
        }
    }
}

/// <summary>One rule for some of the trained weights, with their moments.</summary>
interface IUpdateRule : IDisposable
{
    /// <inheritdoc cref="WeightOptimizer.Step"/>
    /// <param name="rounding">Of weights and moments in bfloat16; null where they are float32.</param>
    void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding);

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    void Visit(BytesVisitor visit);
}
