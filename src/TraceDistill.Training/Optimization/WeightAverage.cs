using System.Numerics.Tensors;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// An exponential moving average of the trained weights, a ← d·a + (1 − d)·w after every update. In the first updates d is at most (1 + t) / (10 + t),
/// t counted from 1, so that the average forgets the initial weights soon (as TensorFlow's ExponentialMovingAverage with num_updates).
/// </summary>
public sealed class WeightAverage : IDisposable
{
    readonly TrainedWeights _trained;
    readonly double _decay;
    readonly FloatBuffer _average;

    /// <param name="trained">Their values now are the first average.</param>
    /// <param name="decay">d.</param>
    public WeightAverage(TrainedWeights trained, double decay)
    {
        (_trained, _decay, _average) = (trained, decay, new FloatBuffer(trained.Count));
        foreach (var name in trained.Names)
        {
            trained.Weights.Values(name).CopyTo(Of(name));
        }
    }

    /// <summary>Takes in the weights after update <paramref name="update"/>, counted from 1.</summary>
    public void Add(long update)
    {
        var decay = (float)Math.Min(_decay, (1.0 + update) / (10.0 + update));
        foreach (var name in _trained.Names)
        {
            var average = Of(name);
            TensorPrimitives.Lerp(_trained.Weights.Values(name), average, decay, average);
        }
    }

    /// <summary>Puts the average in the weights' place and the weights in the average's; a second call puts them back.</summary>
    public void Swap()
    {
        foreach (var name in _trained.Names)
        {
            Span<float> weights = _trained.Weights.Values(name), average = Of(name);
            float[] kept = [.. weights];
            average.CopyTo(weights);
            kept.CopyTo(average);
        }
    }

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    public void Visit(BytesVisitor visit) => Moments.Visit(_average, visit);

    public void Dispose() => _average.Dispose();

    Span<float> Of(string name) => _average.Slice(_trained.OffsetOf(name)!.Value, _trained.Weights.Values(name).Length);
}
