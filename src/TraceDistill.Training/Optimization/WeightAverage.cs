using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// An exponential moving average of the trained weights, a ← d·a + (1 − d)·w after every optimizer step.
/// In the first steps d is at most (1 + t) / (10 + t), t counted from 1, so that the average
/// forgets the initial weights soon (as TensorFlow's ExponentialMovingAverage with num_updates).
/// </summary>
public sealed class WeightAverage : IDisposable
{
    readonly TrainedWeights _trained;
    readonly double _decay;
    readonly FloatBuffer? _own;
    readonly NamedWeights? _into;
    readonly Dictionary<string, Tensor> _kept = [];

    /// <param name="trained">Their values now are the first average.</param>
    /// <param name="decay">d.</param>
    /// <param name="into">
    /// Of a model, or an adapter, of the same shape on the same device: they are the average. Null for memory of its own.
    /// </param>
    public WeightAverage(TrainedWeights trained, double decay, NamedWeights? into = null)
    {
        (_trained, _decay, _into) = (trained, decay, into);
        _own = into is null ? new FloatBuffer(trained.Count, trained.Weights.Device) : null;
        using var noGrad = no_grad();
        foreach (var name in trained.Names)
        {
            using var scope = NewDisposeScope();
            Average(name).copy_(Weights(name));
        }
    }

    /// <summary>Takes in the weights after step <paramref name="update"/>, counted from 1.</summary>
    public void Add(long update)
    {
        var decay = (float)Math.Min(_decay, (1.0 + update) / (10.0 + update));
        using var noGrad = no_grad();
        foreach (var name in _trained.Names)
        {
            if (_trained.TakesKernels)
            {
                var weights = _trained.Weights.Values(name);
                var average = Buffer.Slice(PlaceOf(name), weights.Length);
                TensorPrimitives.Lerp(weights, average, decay, average);
                continue;
            }

            using var scope = NewDisposeScope();
            Average(name).Scale(decay).Add(Weights(name).to(ScalarType.Float32).Times(1 - decay));
        }
    }

    /// <summary>Puts the average in the weights' place; a second call puts the weights back.</summary>
    public void Swap()
    {
        using var noGrad = no_grad();
        foreach (var name in _trained.Names)
        {
            using var scope = NewDisposeScope();
            if (_kept.Remove(name, out var kept))
            {
                Weights(name).copy_(kept);
                kept.Dispose();
                continue;
            }

            _kept.Add(name, Weights(name).clone().DetachFromDisposeScope());
            Weights(name).copy_(Average(name));
        }
    }

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    public void Visit(BytesVisitor visit) => Buffer.Visit(visit);

    public void Dispose()
    {
        _own?.Dispose();
        foreach (var kept in _kept.Values)
        {
            kept.Dispose();
        }
    }

    FloatBuffer Buffer => _own ?? _into!.Flat;

    long PlaceOf(string name) => _into?.OffsetOf(name) ?? _trained.OffsetOf(name)!.Value;

    Tensor Average(string name) => Buffer.Vector.narrow(0, PlaceOf(name), CountOf(name));

    Tensor Weights(string name) => _trained.Weights.Flat.Vector.narrow(0, _trained.Weights.OffsetOf(name), CountOf(name));

    long CountOf(string name) => _trained.Weights.ShapeOf(name).ElementCount();
}
