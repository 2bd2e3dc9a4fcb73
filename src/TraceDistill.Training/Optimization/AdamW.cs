using TraceDistill.Models;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// AdamW: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η·(m̂/(√v̂ + ε) + λw) with bias-corrected m̂, v̂ (Loshchilov and Hutter,
/// arXiv 1711.05101, algorithm 2). Vectors (norms, biases, DoRA's magnitudes) are not decayed.
/// </summary>
/// <param name="options">Decay rates, ε and λ.</param>
/// <param name="trained">The trained weights.</param>
/// <param name="names">Those of them to update.</param>
sealed class AdamW(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names) : IUpdateRule
{
    readonly Moments _mean = new(trained, names),
        _meanSquare = new(trained, names);
    readonly IReadOnlyList<Stretch> _stretches = Stretch.Of(trained, names);

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding)
    {
        var step = AdamStep.Of(options, scale, learningRate, update);
        UpdatePieces.ForEach(
            _stretches,
            trained,
            options,
            stretch =>
                step.Apply(
                    stretch.ValuesOf(trained),
                    stretch.SlopesOf(gradient),
                    _mean.ValuesOf(stretch),
                    _meanSquare.ValuesOf(stretch),
                    options.DecayFactor(stretch.IsDecayed, learningRate)
                ),
            stretch => Update(stretch, rounding, gradient, scale, step, options.DecayFactor(stretch.IsDecayed, learningRate))
        );
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

    void Update(Stretch stretch, StochasticRounding? rounding, FloatBuffer gradient, double scale, AdamStep step, double decay)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (storedWeights, storedMean, storedSquare) = (stretch.WeightsOf(trained), _mean.Of(stretch), _meanSquare.Of(stretch));
        var (w, m, v) = (
            StochasticRounding.Open(storedWeights),
            StochasticRounding.Open(storedMean),
            StochasticRounding.Open(storedSquare)
        );
        step.Apply(w, stretch.GradientOf(gradient).Times(scale), m, v, decay);
        rounding?.Store(storedWeights, w);
        rounding?.Store(storedMean, m);
        rounding?.Store(storedSquare, v);
    }
}
