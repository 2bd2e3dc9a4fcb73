using System.Numerics;
using System.Runtime.InteropServices;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>One step of <see cref="AdamW"/>.</summary>
/// <param name="Beta1">Decay of the mean.</param>
/// <param name="Beta2">Decay of the mean square.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="Scale">Multiplies the gradient.</param>
/// <param name="Rate">The learning rate, corrected for the mean's bias.</param>
/// <param name="Correction">Of the root of the mean square, for its bias.</param>
readonly record struct AdamStep(float Beta1, float Beta2, float Epsilon, float Scale, float Rate, float Correction)
{
    /// <param name="options">Decay rates and ε.</param>
    /// <param name="update">Counts from 1.</param>
    public static AdamStep Of(OptimizationOptions options, double scale, double learningRate, long update) =>
        new(
            (float)options.AdamBeta1,
            (float)options.AdamBeta2,
            (float)options.AdamEpsilon,
            (float)scale,
            (float)(learningRate / (1 - Math.Pow(options.AdamBeta1, update))),
            (float)(1 / Math.Sqrt(1 - Math.Pow(options.AdamBeta2, update)))
        );

    /// <summary>Updates weights and their moments in float32 on the CPU; each by itself, so that how they are cut changes no bit.</summary>
    /// <param name="decay">Multiplies the weights.</param>
    public void Apply(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> mean, Span<float> meanSquare, float decay)
    {
        // Fields of a structure behind a reference would be read again in each round.
        var (beta1, beta2, epsilon, scale, rate, correction) = this;
        ref float w = ref MemoryMarshal.GetReference(weights),
            m = ref MemoryMarshal.GetReference(mean),
            v = ref MemoryMarshal.GetReference(meanSquare);
        ref readonly var g = ref MemoryMarshal.GetReference(gradient[..weights.Length]);
        nuint i = 0;
        for (var whole = (nuint)(weights.Length / Vector<float>.Count * Vector<float>.Count); i < whole; i += (nuint)Vector<float>.Count)
        {
            var slope = Vector.LoadUnsafe(in g, i) * scale;
            var first = Vector.LoadUnsafe(ref m, i) * beta1 + slope * (1 - beta1);
            var second = Vector.LoadUnsafe(ref v, i) * beta2 + slope * slope * (1 - beta2);
            first.StoreUnsafe(ref m, i);
            second.StoreUnsafe(ref v, i);
            var step = first * rate / (Vector.SquareRoot(second) * correction + Vector.Create(epsilon));
            (Vector.LoadUnsafe(ref w, i) * decay - step).StoreUnsafe(ref w, i);
        }

        for (var rest = (int)i; rest < weights.Length; rest++)
        {
            var slope = gradient[rest] * scale;
            mean[rest] = mean[rest] * beta1 + slope * (1 - beta1);
            meanSquare[rest] = meanSquare[rest] * beta2 + slope * slope * (1 - beta2);
            weights[rest] = weights[rest] * decay - mean[rest] * rate / (MathF.Sqrt(meanSquare[rest]) * correction + epsilon);
        }
    }

    /// <summary>As above, on any device.</summary>
    /// <param name="slope">The gradient, multiplied already; used up.</param>
    public void Apply(Tensor weights, Tensor slope, Tensor mean, Tensor meanSquare, double decay)
    {
        mean.Scale(Beta1).Add(slope.Times(1 - Beta1));
        meanSquare.Scale(Beta2).Add(slope.mul_(slope).Scale(1 - Beta2));
        weights.Scale(decay).sub_(mean.Times(Rate).div_(meanSquare.sqrt().Scale(Correction).Plus(Epsilon)));
    }
}
