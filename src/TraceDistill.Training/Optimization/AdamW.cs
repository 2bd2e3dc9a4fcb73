using System.Runtime.Intrinsics;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// AdamW over one flat buffer: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η·(m̂/(√v̂ + ε) + λw) with bias-corrected m̂, v̂
/// (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2). Norm weights are not decayed.
/// </summary>
public sealed unsafe class AdamW : IDisposable
{
    readonly ModelParameters _parameters;
    readonly double _beta1, _beta2, _epsilon, _weightDecay;

    /// <param name="parameters">The weights to update.</param>
    /// <param name="beta1">Decay of the mean.</param>
    /// <param name="beta2">Decay of the mean square.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="weightDecay">λ.</param>
    public AdamW(ModelParameters parameters, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8, double weightDecay = 0.01)
    {
        _parameters = parameters;
        (_beta1, _beta2, _epsilon, _weightDecay) = (beta1, beta2, epsilon, weightDecay);
        Mean = new FloatBuffer(parameters.Count);
        MeanSquare = new FloatBuffer(parameters.Count);
    }

    /// <summary>[weights] first moment.</summary>
    public FloatBuffer Mean { get; }

    /// <summary>[weights] second moment.</summary>
    public FloatBuffer MeanSquare { get; }

    /// <summary>One update.</summary>
    /// <param name="gradient">[weights], laid out like the weights.</param>
    /// <param name="scale">Multiplies the gradient: normalisation and clipping in one.</param>
    /// <param name="learningRate">η.</param>
    /// <param name="update">Counts from 1.</param>
    public void Step(FloatBuffer gradient, double scale, double learningRate, long update)
    {
        var rate = (float)(learningRate / (1 - Math.Pow(_beta1, update)));
        var correction = (float)(1 / Math.Sqrt(1 - Math.Pow(_beta2, update)));
        foreach (var name in _parameters.Names)
        {
            var decay = _parameters.ShapeOf(name).Length > 1 ? (float)(1 - learningRate * _weightDecay) : 1f;
            Update(_parameters.OffsetOf(name), _parameters.Values(name).Length, gradient, (float)scale, rate, correction, decay);
        }
    }

    public void Dispose()
    {
        Mean.Dispose();
        MeanSquare.Dispose();
    }

    void Update(long offset, int count, FloatBuffer gradient, float scale, float rate, float correction, float decay)
    {
        float* w = _parameters.Flat.Pointer + offset, g = gradient.Pointer + offset, m = Mean.Pointer + offset, v = MeanSquare.Pointer + offset;
        float beta1 = (float)_beta1, beta2 = (float)_beta2, epsilon = (float)_epsilon;
        var i = 0;
        for (; i <= count - SimdMath.Lanes; i += SimdMath.Lanes)
        {
            var slope = Vector512.Load(g + i) * scale;
            var mean = Vector512.Load(m + i) * beta1 + slope * (1 - beta1);
            var square = Vector512.Load(v + i) * beta2 + slope * slope * (1 - beta2);
            mean.Store(m + i);
            square.Store(v + i);
            (Vector512.Load(w + i) * decay - mean * rate / (Vector512.Sqrt(square) * correction + Vector512.Create(epsilon))).Store(w + i);
        }

        for (; i < count; i++)
        {
            var slope = g[i] * scale;
            m[i] = m[i] * beta1 + slope * (1 - beta1);
            v[i] = v[i] * beta2 + slope * slope * (1 - beta2);
            w[i] = w[i] * decay - m[i] * rate / (MathF.Sqrt(v[i]) * correction + epsilon);
        }
    }
}
