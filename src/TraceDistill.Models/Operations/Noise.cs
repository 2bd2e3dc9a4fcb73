using TraceDistill.Data.Determinism;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>Noise that training adds to, or takes from, rows: drawn on the CPU, so that every device has the same.</summary>
static class Noise
{
    const int NeftunePurpose = 0;

    /// <summary>
    /// x + ε with ε uniform in ±alpha/√(L·D), L being the length of the row's sequence (Jain et
    /// al., "NEFTune", arXiv 2310.05914, algorithm 1).
    /// </summary>
    /// <param name="x">[N, D].</param>
    /// <param name="lengths">Tokens of each sequence.</param>
    /// <param name="noise">A row for each of x.</param>
    public static Tensor AddUniform(Tensor x, IReadOnlyList<int> lengths, PassNoise noise)
    {
        const float Unit = 1f / (1L << 31);
        using var scope = NewDisposeScope();
        var drawn = new float[x.numel()];
        var (row, d) = (0, (int)x.shape[1]);
        foreach (var length in lengths)
        {
            var bound = (float)(noise.NeftuneAlpha / Math.Sqrt((double)length * d));
            for (var end = row + length; row < end; row++)
            {
                var random = new SplitMix64(noise.Key(row, NeftunePurpose));
                foreach (ref var value in drawn.AsSpan(row * d, d))
                {
                    value = bound * ((Unit * (uint)(random.Next() >> 32)) - 1);
                }
            }
        }

        return x.Plus(tensor(drawn, x.shape).to(x.dtype).to(x.device)).MoveToOuterDisposeScope();
    }

    /// <summary>Dropout: each element becomes zero with probability <paramref name="rate"/>, else it is divided by 1 − rate.</summary>
    /// <param name="x">[N, K].</param>
    /// <param name="noise">A row for each of x; the same noise and purpose drop the same elements.</param>
    /// <param name="purpose">Counts from 1.</param>
    public static Tensor Drop(Tensor x, double rate, PassNoise noise, int purpose)
    {
        using var scope = NewDisposeScope();
        return Dropout.apply(x, rate, noise, purpose).MoveToOuterDisposeScope();
    }

    /// <summary>Draws again in the backward pass instead of keeping what it drew.</summary>
    sealed class Dropout : SingleTensorFunction<Dropout>
    {
        public override string Name => "dropout";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("draw", (Func<Tensor, Tensor>)(values => Dropped(values, (double)vars[1], (PassNoise)vars[2], (int)vars[3])));
            return Dropped((Tensor)vars[0], (double)vars[1], (PassNoise)vars[2], (int)vars[3]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var draw = (Func<Tensor, Tensor>)ctx.get_data("draw");
            return CustomGradient.Of(ctx, gradOutput, 4, (_, dy) => [draw(dy), null, null, null]);
        }

        static unsafe Tensor Dropped(Tensor x, double rate, PassNoise noise, int purpose)
        {
            if (CustomGradient.TakesKernels(x))
            {
                var kept = x.clone();
                NoiseKernel.Drop(CustomGradient.Pointer(kept), (int)x.shape[0], (int)x.shape[1], rate, noise, purpose);
                return kept;
            }

            var mask = ones(x.shape);
            NoiseKernel.Drop(CustomGradient.Pointer(mask), (int)x.shape[0], (int)x.shape[1], rate, noise, purpose);
            return x * mask.to(x.dtype).to(x.device);
        }
    }
}
