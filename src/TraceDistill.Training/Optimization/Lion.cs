using System.Numerics;
using System.Runtime.InteropServices;
using TraceDistill.Models;
using TraceDistill.Models.Tensors;
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
sealed class Lion(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names) : IUpdateRule
{
    readonly Moments _mean = new(trained, names);
    readonly IReadOnlyList<Stretch> _stretches = Stretch.Of(trained, names);
    readonly float _beta1 = (float)options.AdamBeta1,
        _beta2 = (float)options.AdamBeta2;

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding) =>
        UpdatePieces.ForEach(
            _stretches,
            trained,
            options,
            stretch =>
                Update(
                    stretch.ValuesOf(trained),
                    stretch.SlopesOf(gradient),
                    _mean.ValuesOf(stretch),
                    (float)scale,
                    (float)learningRate,
                    options.DecayFactor(stretch.IsDecayed, learningRate)
                ),
            stretch => Update(stretch, rounding, gradient, scale, learningRate, options.DecayFactor(stretch.IsDecayed, learningRate))
        );

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

    void Update(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> mean, float scale, float rate, float decay)
    {
        var (beta1, beta2) = (_beta1, _beta2);
        ref float w = ref MemoryMarshal.GetReference(weights),
            m = ref MemoryMarshal.GetReference(mean);
        ref readonly var g = ref MemoryMarshal.GetReference(gradient[..weights.Length]);
        var (plus, minus) = (Vector.Create(rate), Vector.Create(-rate));
        nuint i = 0;
        for (var whole = (nuint)(weights.Length / Vector<float>.Count * Vector<float>.Count); i < whole; i += (nuint)Vector<float>.Count)
        {
            var (slope, momentum) = (Vector.LoadUnsafe(in g, i) * scale, Vector.LoadUnsafe(ref m, i));
            var direction = momentum * beta1 + slope * (1 - beta1);
            var step =
                Vector.ConditionalSelect(Vector.GreaterThan(direction, Vector<float>.Zero), plus, Vector<float>.Zero)
                + Vector.ConditionalSelect(Vector.LessThan(direction, Vector<float>.Zero), minus, Vector<float>.Zero);
            (momentum * beta2 + slope * (1 - beta2)).StoreUnsafe(ref m, i);
            (Vector.LoadUnsafe(ref w, i) * decay - step).StoreUnsafe(ref w, i);
        }

        for (var rest = (int)i; rest < weights.Length; rest++)
        {
            var slope = gradient[rest] * scale;
            var direction = mean[rest] * beta1 + slope * (1 - beta1);
            mean[rest] = mean[rest] * beta2 + slope * (1 - beta2);
            weights[rest] =
                weights[rest] * decay
                - (
                    direction > 0 ? rate
                    : direction < 0 ? -rate
                    : 0
                );
        }
    }
}
