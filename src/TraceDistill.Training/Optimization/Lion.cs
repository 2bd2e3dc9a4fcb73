using System.Numerics;
using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;
using Vector = System.Numerics.Vector;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Lion: w ← w − η·(sign(β₁m + (1−β₁)g) + λw), then m ← β₂m + (1−β₂)g (Chen et al., "Symbolic Discovery of Optimization Algorithms",
/// arXiv 2302.06675, algorithm 2). Its learning rate is usually three to ten times smaller than AdamW's. Vectors are not decayed.
/// </summary>
/// <param name="options">Decay rates and λ.</param>
/// <param name="trained">The trained weights.</param>
/// <param name="names">Those of them to update.</param>
sealed unsafe class Lion(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names) : IUpdateRule
{
    readonly Moments _mean = new(trained, names);
    readonly IReadOnlyList<Stretch> _stretches = Stretch.Of(trained, names);
    readonly float _beta1 = (float)options.AdamBeta1,
        _beta2 = (float)options.AdamBeta2;

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding)
    {
        if (!trained.TakesKernels)
        {
            foreach (var stretch in _stretches)
            {
                Update(stretch, rounding, gradient, scale, learningRate, options.DecayFactor(stretch.IsDecayed, learningRate));
            }

            return;
        }

        foreach (var name in names)
        {
            var decay = options.DecayFactor(trained.Weights.ShapeOf(name).Length > 1, learningRate);
            Update(name, gradient, (float)scale, (float)learningRate, decay);
        }
    }

    public void Visit(BytesVisitor visit) => _mean.Visit(visit);

    public void Dispose() => _mean.Dispose();

    void Update(Stretch stretch, StochasticRounding? rounding, FloatBuffer gradient, double scale, double rate, double decay)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (storedWeights, storedMean) = (stretch.WeightsOf(trained), _mean.Of(stretch));
        var (w, m, slope) = (
            StochasticRounding.Open(storedWeights),
            StochasticRounding.Open(storedMean),
            stretch.GradientOf(gradient).Times(scale)
        );
        var direction = m.Times(_beta1).Add(slope.Times(1 - _beta1)).sign_();
        m.Scale(_beta2).Add(slope.Scale(1 - _beta2));
        w.Scale(decay).sub_(direction.Scale(rate));
        rounding?.Store(storedWeights, w);
        rounding?.Store(storedMean, m);
    }

    void Update(string name, FloatBuffer gradient, float scale, float rate, float decay)
    {
        var count = trained.Weights.Values(name).Length;
        float* w = trained.Weights.Flat.Pointer + trained.Weights.OffsetOf(name),
            g = gradient.Pointer + trained.OffsetOf(name)!.Value,
            m = _mean.Of(name);
        var i = 0;
        var (plus, minus) = (Vector.Create(rate), Vector.Create(-rate));
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            var (slope, mean) = (Vector.Load(g + i) * scale, Vector.Load(m + i));
            var direction = mean * _beta1 + slope * (1 - _beta1);
            var step =
                Vector.ConditionalSelect(Vector.GreaterThan(direction, Vector<float>.Zero), plus, Vector<float>.Zero)
                + Vector.ConditionalSelect(Vector.LessThan(direction, Vector<float>.Zero), minus, Vector<float>.Zero);
            (mean * _beta2 + slope * (1 - _beta2)).Store(m + i);
            (Vector.Load(w + i) * decay - step).Store(w + i);
        }

        for (; i < count; i++)
        {
            var slope = g[i] * scale;
            var direction = m[i] * _beta1 + slope * (1 - _beta1);
            m[i] = m[i] * _beta2 + slope * (1 - _beta2);
            w[i] = w[i] * decay - rate * Math.Sign(direction);
        }
    }
}
