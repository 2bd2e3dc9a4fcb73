using TraceDistill.Models;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Head;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// λ / 2 · Σ F · (θ − θ*)² and its gradient λ · F · (θ − θ*), which pulls each weight back to where it was the more the more it matters
/// there (<see cref="Ewc"/>).
/// </summary>
public sealed class ElasticPenalty : IDisposable
{
    readonly TrainedWeights _trained;
    readonly double _weight;
    readonly FloatBuffer _start;
    readonly IReadOnlyList<Stretch> _stretches;

    /// <param name="trained">Their values now are θ*.</param>
    /// <param name="weight">λ.</param>
    public ElasticPenalty(TrainedWeights trained, double weight)
    {
        (_trained, _weight, _stretches) = (trained, weight, Stretch.Of(trained, trained.Names));
        _start = new FloatBuffer(trained.Count, trained.Weights.Device);
        Fisher = new FloatBuffer(trained.Count, trained.Weights.Device);
        using var noGrad = no_grad();
        foreach (var stretch in _stretches)
        {
            using var scope = NewDisposeScope();
            stretch.GradientOf(_start).copy_(stretch.WeightsOf(trained));
        }
    }

    /// <summary>F, in the places of the gradient; 0 until it is written.</summary>
    public FloatBuffer Fisher { get; }

    /// <summary>Adds the gradient of so many times the penalty.</summary>
    /// <param name="gradient">Of the trained weights.</param>
    /// <param name="tokens">By which it is divided later.</param>
    /// <returns>The penalty of all tokens, in nats, and its gradient's norm by the weights.</returns>
    public TermTotal AddTo(FloatBuffer gradient, long tokens)
    {
        var sums = new (double Penalty, double Squares)[_stretches.Count];
        if (_trained.TakesKernels)
        {
            Parallel.For(0, sums.Length, index => sums[index] = Kernel(_stretches[index], gradient, _weight * tokens));
        }
        else
        {
            for (var index = 0; index < sums.Length; index++)
            {
                sums[index] = Plain(_stretches[index], gradient, _weight * tokens);
            }
        }

        return new TermTotal("ewc", _weight / 2 * sums.Sum(sum => sum.Penalty) * tokens, tokens)
        {
            SquaredGradient = _weight * _weight * sums.Sum(sum => sum.Squares) * tokens,
        };
    }

    public void Dispose()
    {
        _start.Dispose();
        Fisher.Dispose();
    }

    (double Penalty, double Squares) Kernel(Stretch stretch, FloatBuffer gradient, double factor)
    {
        var weights = stretch.ValuesOf(_trained);
        ReadOnlySpan<float> start = stretch.SlopesOf(_start),
            fisher = stretch.SlopesOf(Fisher);
        var slopes = gradient.Slice(stretch.Gradient, weights.Length);
        var (penalty, squares) = (0.0, 0.0);
        for (var i = 0; i < weights.Length; i++)
        {
            var way = weights[i] - start[i];
            var pull = (double)fisher[i] * way;
            slopes[i] += (float)(factor * pull);
            penalty += pull * way;
            squares += pull * pull;
        }

        return (penalty, squares);
    }

    (double Penalty, double Squares) Plain(Stretch stretch, FloatBuffer gradient, double factor)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var way = stretch.WeightsOf(_trained).to(ScalarType.Float32) - stretch.GradientOf(_start);
        var pull = way * stretch.GradientOf(Fisher);
        stretch.GradientOf(gradient).Add(pull.Times(factor));
        return ((pull * way).sum(ScalarType.Float64).item<double>(), pull.Squared().sum(ScalarType.Float64).item<double>());
    }
}
