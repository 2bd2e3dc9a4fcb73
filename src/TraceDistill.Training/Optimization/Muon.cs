using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Muon for the matrices inside the layers: Nesterov momentum m ← 0.95·m + g, whose update g + 0.95·m is replaced by the nearest
/// semi-orthogonal matrix (<see cref="NewtonSchulz"/>), so that all directions of a weight learn at one pace (Jordan et al., "Muon: an
/// optimizer for hidden layers in neural networks", 2024). Scaled by √max(1, rows/columns). Weight decay is decoupled, as in AdamW.
/// </summary>
sealed class Muon : IUpdateRule
{
    const float Decay = 0.95f;

    /// <summary>Begin the names of what is inside layers: of the decoder, and of its encoder of pictures.</summary>
    static readonly string[] Inside = ["model.layers.", "picture_encoder.blocks."];
    readonly OptimizationOptions _options;
    readonly TrainedWeights _trained;
    readonly Moments _momentum;
    readonly IReadOnlyList<string> _names;
    readonly string[][] _shares;
    readonly NewtonSchulz[] _orthogonalizers;

    /// <param name="options">Weight decay, and the number of threads; the result does not depend on these.</param>
    /// <param name="trained">The trained weights.</param>
    /// <param name="names">Those of them to update.</param>
    public Muon(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names)
    {
        (_options, _trained, _names, _momentum) = (options, trained, names, new Moments(trained, names));
        long[] costs = [.. names.Select(name => Cost(trained.Weights.ShapeOf(name)))];
        _shares = [.. WorkSharing.Share(costs, options.ResolveWorkers()).Select(share => share.Select(i => names[i]).ToArray())];
        _orthogonalizers =
        [
            .. _shares.Select(share => new NewtonSchulz([.. share.Select(trained.Weights.ShapeOf).Where(NewtonSchulz.TakesKernel)])),
        ];
    }

    /// <summary>
    /// Returns whether a weight is Muon's: every matrix of a layer, experts and their router included, as in Moonlight (Liu et al., arXiv
    /// 2502.16982) and GLM-4.5 (arXiv 2508.06471), which leave embeddings, output projection, norms and biases to AdamW.
    /// </summary>
    /// <param name="name">In Hugging Face's naming.</param>
    /// <param name="shape">Of the weight.</param>
    public static bool Takes(string name, long[] shape) =>
        shape.Length == 2 && Array.Exists(Inside, prefix => name.StartsWith(prefix, StringComparison.Ordinal));

    /// <param name="gradient">Of the trained weights; used up.</param>
    /// <param name="scale">Multiplies the gradient.</param>
    /// <param name="learningRate">Size of each singular value of a square matrix's update.</param>
    /// <param name="update">Counts from 1; nothing depends on it.</param>
    /// <param name="rounding">Of what is held in bfloat16; null where nothing is.</param>
    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding)
    {
        // One thread of libtorch each: with more, their number would decide in which order a product sums.
        if (!_trained.TakesKernels)
        {
            // In an order of their own: rounding at random goes by it, and workers must change no bit.
            new Cores(1).Each(1, _ =>
            {
                foreach (var name in _names)
                {
                    UpdatePlain(name, rounding, gradient, scale, learningRate);
                }
            });
            return;
        }

        new Cores(_shares.Length).Each(_shares.Length, worker =>
        {
            foreach (var name in _shares[worker])
            {
                Update(name, gradient, (float)scale, learningRate, _options.MuonWeightDecay, _orthogonalizers[worker]);
            }
        });
    }

    public void Visit(BytesVisitor visit) => _momentum.Visit(visit);

    public void Dispose()
    {
        _momentum.Dispose();
        foreach (var orthogonalizer in _orthogonalizers)
        {
            orthogonalizer.Dispose();
        }
    }

    void Update(string name, FloatBuffer gradient, float scale, double learningRate, double weightDecay, NewtonSchulz orthogonalizer)
    {
        var weight = _trained.Weights.Values(name);
        var (offset, rows, columns) = (
            _trained.OffsetOf(name)!.Value,
            (int)_trained.Weights.ShapeOf(name)[0],
            (int)_trained.Weights.ShapeOf(name)[1]
        );
        Span<float> momentum = _momentum.ValuesOf(name, weight.Length),
            update = gradient.Slice(offset, weight.Length);
        TensorPrimitives.Multiply(update, scale, update);
        TensorPrimitives.MultiplyAdd(momentum, Decay, update, momentum);
        TensorPrimitives.MultiplyAdd(momentum, Decay, update, update);
        if (NewtonSchulz.TakesKernel([rows, columns]))
        {
            orthogonalizer.Orthogonalize(update, rows, columns);
        }
        else
        {
            using var matrix = gradient.Matrix(rows, columns, offset);
            using var direction = NewtonSchulz.Orthogonalize(matrix);
            matrix.copy_(direction);
        }

        TensorPrimitives.Multiply(weight, (float)(1 - learningRate * weightDecay), weight);
        TensorPrimitives.MultiplyAdd(update, (float)(-learningRate * Math.Sqrt(Math.Max(1.0, (double)rows / columns))), weight, weight);
    }

    void UpdatePlain(string name, StochasticRounding? rounding, FloatBuffer gradient, double scale, double learningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var shape = _trained.Weights.ShapeOf(name);
        var (storedWeight, storedMomentum) = (
            _trained.Weights.Matrix(_trained.Weights.Flat, name),
            _momentum.VectorOf(name, shape.ElementCount()).view(shape)
        );
        var (weight, momentum) = (StochasticRounding.Open(storedWeight), StochasticRounding.Open(storedMomentum));
        var slope = gradient.Matrix(shape[0], shape[1], _trained.OffsetOf(name)!.Value).Times(scale);
        momentum.Scale(Decay).Add(slope);
        var direction = NewtonSchulz.Orthogonalize(slope.Add(momentum.Times(Decay)));
        weight
            .Scale(1 - (learningRate * _options.MuonWeightDecay))
            .sub_(direction.Times(learningRate * Math.Sqrt(Math.Max(1.0, (double)shape[0] / shape[1]))));
        rounding?.Store(storedWeight, weight);
        rounding?.Store(storedMomentum, momentum);
    }

    /// <summary>Multiplications of a Newton-Schulz step.</summary>
    static long Cost(long[] shape)
    {
        var (r, c) = (shape.Max(), shape.Min());
        return 2 * r * c * c + c * c * c;
    }
}
