using TraceDistill.Data.Determinism;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Weights and moments that are held in bfloat16: an update opens them in float32 and stores each number as one of its
/// two neighbours, the nearer it is the more probably, so that steps too small to reach the next number are not lost
/// but taken now and then (Gupta et al., arXiv 1502.02551, section 3). What is held in float32 is changed in place, and
/// needs none.
/// </summary>
sealed class StochasticRounding : IDisposable
{
    /// <summary>Significant bits of bfloat16, the hidden one included.</summary>
    const int Bits = 8;

    readonly Generator _random;

    /// <param name="seed">Of the training.</param>
    /// <param name="update">Counts from 1: every step draws anew, and a resumed one the same.</param>
    public StochasticRounding(long seed, long update, Device device) =>
        _random = new Generator(new SplitMix64(new SplitMix64((ulong)seed).Next() ^ (ulong)update).Next(), device);

    /// <summary>Numbers in float32: the stored ones themselves, or a copy to be given to <see cref="Store"/>.</summary>
    public static Tensor Open(Tensor stored) => stored.dtype == ScalarType.Float32 ? stored : stored.to(ScalarType.Float32);

    /// <summary>Stores what <see cref="Open"/> gave, after it was changed.</summary>
    public void Store(Tensor stored, Tensor opened)
    {
        if (stored.dtype != ScalarType.Float32)
        {
            stored.copy_(Round(opened));
        }
    }

    public void Dispose() => _random.Dispose();

    /// <returns>Float32 numbers that bfloat16 has.</returns>
    internal Tensor Round(Tensor values)
    {
        using var scope = NewDisposeScope();
        var (mantissa, exponent) = frexp(values); // values = mantissa · 2^exponent, ½ ≤ |mantissa| < 1
        var scaled = mantissa.Times(1 << Bits);
        var lower = scaled.floor();
        var isUpper = rand(values.shape, generator: _random, device: values.device).lt(scaled - lower);
        return ldexp(lower.Add(isUpper.to(ScalarType.Float32)), exponent - tensor(Bits, dtype: exponent.dtype, device: values.device))
            .MoveToOuterDisposeScope();
    }
}
