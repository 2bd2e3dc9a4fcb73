using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;

namespace TraceDistill.Training.Optimization;

/// <summary>How weights follow their gradient.</summary>
public enum OptimizerKind
{
    /// <summary>AdamW for all weights.</summary>
    Adamw,

    /// <summary>Muon for the matrices of the layers, AdamW for embeddings and norms: a small model from scratch needs far fewer tokens.</summary>
    Muon,
}

/// <summary>Updates the trained weights of a model; holds the moments that a checkpoint must keep.</summary>
public sealed class WeightOptimizer : IDisposable
{
    readonly OptimizationOptions _options;
    readonly AdamW _adam;
    readonly Muon? _muon;

    public WeightOptimizer(OptimizationOptions options, TrainedWeights trained)
    {
        _options = options;
        Mean = new FloatBuffer(trained.Count);
        MeanSquare = new FloatBuffer(trained.Count);
        string[] muons = [.. trained.Names.Where(name => options.Optim == OptimizerKind.Muon && Muon.Takes(name))];
        _adam = new AdamW(options, trained, [.. trained.Names.Except(muons)], Mean, MeanSquare);
        _muon = muons.Length > 0 ? new Muon(trained, muons, Mean, options.ResolveWorkers()) : null;
    }

    /// <summary>[trained weights] first moment: AdamW's mean gradient, Muon's momentum.</summary>
    public FloatBuffer Mean { get; }

    /// <summary>[trained weights] AdamW's mean squared gradient.</summary>
    public FloatBuffer MeanSquare { get; }

    /// <summary>One update.</summary>
    /// <param name="gradient">Of the trained weights; used up.</param>
    /// <param name="scale">Multiplies the gradient: normalisation and clipping in one.</param>
    /// <param name="learningRate">Of AdamW; Muon's is in the same proportion to its own peak.</param>
    /// <param name="update">Counts from 1.</param>
    public void Step(FloatBuffer gradient, double scale, double learningRate, long update)
    {
        _muon?.Step(gradient, scale, _options.MuonLearningRate * (learningRate / _options.LearningRate), _options.MuonWeightDecay);
        _adam.Step(gradient, scale, learningRate, update);
    }

    public void Dispose()
    {
        _muon?.Dispose();
        Mean.Dispose();
        MeanSquare.Dispose();
    }
}
