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
/// AdamW: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η·(m̂/(√v̂ + ε) + λw) with bias-corrected m̂, v̂ (Loshchilov and Hutter,
/// arXiv 1711.05101, algorithm 2). Vectors (norms, biases, DoRA's magnitudes) are not decayed.
/// </summary>
/// <param name="options">Decay rates, ε and λ.</param>
/// <param name="trained">The trained weights.</param>
/// <param name="names">Those of them to update.</param>
sealed unsafe class AdamW(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names) : IUpdateRule
{
    readonly Moments _mean = new(trained, names),
        _meanSquare = new(trained, names);
    readonly IReadOnlyList<Stretch> _stretches = Stretch.Of(trained, names);
    readonly float _beta1 = (float)options.AdamBeta1,
        _beta2 = (float)options.AdamBeta2,
        _epsilon = (float)options.AdamEpsilon;

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding)
    {
        var rate = (float)(learningRate / (1 - Math.Pow(options.AdamBeta1, update)));
        var correction = (float)(1 / Math.Sqrt(1 - Math.Pow(options.AdamBeta2, update)));
        if (!trained.TakesKernels)
        {
            foreach (var stretch in _stretches)
            {
                Update(stretch, rounding, gradient, scale, rate, correction, options.DecayFactor(stretch.IsDecayed, learningRate));
            }

            return;
        }

        foreach (var name in names)
        {
            var decay = options.DecayFactor(trained.Weights.ShapeOf(name).Length > 1, learningRate);
            Update(name, gradient, (float)scale, rate, correction, decay);
        }
    }

    public void Visit(BytesVisitor visit)
    {
        _mean.Visit(visit);
        _meanSquare.Visit(visit);
    }

    public void Dispose()
    {
        _mean.Dispose();
        _meanSquare.Dispose();
    }

    void Update(
        Stretch stretch,
        StochasticRounding? rounding,
        FloatBuffer gradient,
        double scale,
        double rate,
        double correction,
        double decay
    )
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (storedWeights, storedMean, storedSquare) = (stretch.WeightsOf(trained), _mean.Of(stretch), _meanSquare.Of(stretch));
        var (w, m, v) = (
            StochasticRounding.Open(storedWeights),
            StochasticRounding.Open(storedMean),
            StochasticRounding.Open(storedSquare)
        );
        var slope = stretch.GradientOf(gradient).Times(scale);
        m.Scale(_beta1).Add(slope.Times(1 - _beta1));
        v.Scale(_beta2).Add(slope.mul_(slope).Scale(1 - _beta2));
        w.Scale(decay).sub_(m.Times(rate).div_(v.sqrt().Scale(correction).Plus(_epsilon)));
        rounding?.Store(storedWeights, w);
        rounding?.Store(storedMean, m);
        rounding?.Store(storedSquare, v);
    }

    void Update(string name, FloatBuffer gradient, float scale, float rate, float correction, float decay)
    {
        var (offset, count) = (trained.OffsetOf(name)!.Value, trained.Weights.Values(name).Length);
        float* w = trained.Weights.Flat.Pointer + trained.Weights.OffsetOf(name),
            g = gradient.Pointer + offset,
            m = _mean.Of(name),
            v = _meanSquare.Of(name);
        var i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            var slope = Vector.Load(g + i) * scale;
            var first = Vector.Load(m + i) * _beta1 + slope * (1 - _beta1);
            var second = Vector.Load(v + i) * _beta2 + slope * slope * (1 - _beta2);
            first.Store(m + i);
            second.Store(v + i);
            (Vector.Load(w + i) * decay - first * rate / (Vector.SquareRoot(second) * correction + Vector.Create(_epsilon))).Store(w + i);
        }

        for (; i < count; i++)
        {
            var slope = g[i] * scale;
            m[i] = m[i] * _beta1 + slope * (1 - _beta1);
            v[i] = v[i] * _beta2 + slope * slope * (1 - _beta2);
            w[i] = w[i] * decay - m[i] * rate / (MathF.Sqrt(v[i]) * correction + _epsilon);
        }
    }
}
