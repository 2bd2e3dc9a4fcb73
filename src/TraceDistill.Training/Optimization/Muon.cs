using TorchSharp;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Muon for the matrices inside the layers: Nesterov momentum whose update is replaced by the nearest semi-orthogonal matrix, so that all
/// directions of a weight learn at one pace (Jordan et al., "Muon: an optimizer for hidden layers", 2024). Scaled by √max(1, rows/columns);
/// not decayed.
/// </summary>
/// <remarks>
/// Orthogonalisation is five Newton-Schulz steps X ← aX + (bA + cA²)X with A = XXᵀ, a = 3.4445, b = −4.7750, c = 2.0315, which bring every
/// singular value near 1.
/// </remarks>
sealed class Muon(ModelParameters parameters, FloatBuffer momentum)
{
    const float Decay = 0.95f;

    /// <summary>Whether a weight is Muon's: a matrix of a layer, not an embedding or output projection.</summary>
    public static bool Takes(string name) => name.EndsWith("_proj.weight", StringComparison.Ordinal);

    /// <summary>One update, the weights side by side on all cores.</summary>
    /// <param name="names">The weights to update.</param>
    /// <param name="gradient">Laid out like the weights.</param>
    /// <param name="scale">Multiplies the gradient.</param>
    /// <param name="learningRate">Size of each singular value of a square matrix's update.</param>
    public void Step(IEnumerable<string> names, FloatBuffer gradient, double scale, double learningRate) => Parallel.ForEach(names, name =>
    {
        set_num_threads(1);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var weight = parameters.Matrix(parameters.Flat, name);
        var slope = parameters.Matrix(gradient, name) * scale;
        var mean = parameters.Matrix(momentum, name);
        mean.mul_(Decay).add_(slope);
        var update = Orthogonalize(slope + mean * Decay);
        weight.sub_(update * (learningRate * Math.Sqrt(Math.Max(1.0, (double)weight.shape[0] / weight.shape[1]))));
    });

    /// <returns>[rows, columns] with the singular vectors of <paramref name="x"/> and singular values between about 0.7 and 1.2.</returns>
    internal static Tensor Orthogonalize(Tensor x)
    {
        var tall = x.shape[0] > x.shape[1];
        x = (tall ? x.t() : x) / (x.norm() + 1e-7);
        for (var i = 0; i < 5; i++)
        {
            var a = x.matmul(x.t());
            x = x * 3.4445 + (a * -4.7750 + a.matmul(a) * 2.0315).matmul(x);
        }

        return tall ? x.t() : x;
    }
}
