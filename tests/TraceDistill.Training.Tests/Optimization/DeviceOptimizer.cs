using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Tests.Optimization;

/// <summary>An optimizer on <see cref="TestDevice"/> for weights and gradients that lie on the CPU between updates.</summary>
sealed class DeviceOptimizer(OptimizationOptions options, TrainedWeights trained) : IDisposable
{
    readonly WeightOptimizer _optimizer = TestDevice.With(trained, () => new WeightOptimizer(options, trained));

    /// <inheritdoc cref="WeightOptimizer.Step"/>
    public void Step(FloatBuffer gradient, double scale, double learningRate, long update) => TestDevice.With(trained, () =>
        {
            using var moved = gradient.CopyTo(TestDevice.Current);
            _optimizer.Step(moved, scale, learningRate, update);
            return true;
        });

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    public void Visit(BytesVisitor visit) => _optimizer.Visit(visit);

    public void Dispose() => _optimizer.Dispose();
}
