using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// N = rows (tokens) of all sequences, S = sequences, D = channels, K = tokens that a row sees, its own included

/// <summary>
/// y_t = x_t + Σ_j w_j ∘ x_{t−K+1+j}, j = 0 … K − 1: a causal convolution of each channel by itself beside the identity. Before a sequence
/// there are zeros. Weights lie as in libtorch's Conv1d, the last for the current token.
/// </summary>
static class CausalConvolution
{
    /// <param name="x">[N, D].</param>
    /// <param name="weight">[D, 1, K] in float32 or float64.</param>
    /// <param name="rows">Where sequences begin.</param>
    /// <param name="former">
    /// [S·(K − 1), D] rows before those of each sequence; null for zeros. No gradient is recorded with it.
    /// </param>
    /// <returns>[N, D].</returns>
    public static Tensor Apply(Tensor x, Tensor weight, SequenceRows rows, Tensor? former = null)
    {
        using var scope = NewDisposeScope();
        return (
            former is null && CustomGradient.TakesKernels(x)
                ? Kernel.apply(x.contiguous(), weight, rows)
                : Plain.apply(x, weight, rows, former ?? zeros(rows.Lengths.Length * (weight.shape[2] - 1), x.shape[1], x.dtype, x.device))
        ).MoveToOuterDisposeScope();
    }

    sealed class Plain : SingleTensorFunction<Plain>
    {
        public override string Name => "causal_convolution";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (x, weight, rows, former) = ((Tensor)vars[0], (Tensor)vars[1], (SequenceRows)vars[2], (Tensor)vars[3]);
            var (taps, source) = (Taps(weight), cat([x, former], 0));
            var wide = x.Wide();
            var y = wide.Plus(wide * taps[0]);
            foreach (var (tap, before) in taps.Skip(1).Zip(rows.Before))
            {
                y.Add(source.index_select(0, before) * tap);
            }

            ctx.save_for_backward([x, weight]);
            ctx.save_data("rows", rows);
            return y.to(x.dtype);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var rows = (SequenceRows)ctx.get_data("rows");
            return CustomGradient.Of(ctx, gradOutput, 4, (saved, slopes) =>
            {
                var (x, weight) = (saved[0].Wide(), saved[1]);
                var (taps, dy) = (Taps(weight), slopes.Wide());
                var source = cat([dy, zeros_like(dy.narrow(0, 0, 1))], 0);
                var dx = dy.Plus(dy * taps[0]);
                var dw = new List<Tensor> { (dy * x).sum([0]) };
                foreach (var (tap, after) in taps.Skip(1).Zip(rows.After))
                {
                    var later = source.index_select(0, after);
                    dx.Add(later * tap);
                    dw.Add((later * x).sum([0]));
                }

                dw.Reverse();
                return
                [
                    dx.to(saved[0].dtype),
                    weight.requires_grad ? stack(dw, 1).reshape(weight.shape).to(weight.dtype) : null,
                    null,
                    null,
                ];
            });
        }

        /// <returns>[D] by distance from the current token, which comes first.</returns>
        static Tensor[] Taps(Tensor weight) =>
            [.. Enumerable.Range(0, (int)weight.shape[2]).Reverse().Select(tap => weight.select(2, tap).select(1, 0))];
    }

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "causal_convolution_kernel";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (x, weight, rows) = ((Tensor)vars[0], (Tensor)vars[1], (SequenceRows)vars[2]);
            var (d, k) = ((int)x.shape[1], (int)weight.shape[2]);
            var y = empty_like(x);
            fixed (float* taps = ConvolutionKernel.TapsOf(new ReadOnlySpan<float>(CustomGradient.Pointer(weight), d * k), k))
            {
                ConvolutionKernel.Forward(CustomGradient.Pointer(x), taps, CustomGradient.Pointer(y), rows.Lengths, d, k);
            }

            ctx.save_for_backward([x, weight]);
            ctx.save_data("lengths", rows.Lengths);
            return y;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var lengths = (int[])ctx.get_data("lengths");
            return CustomGradient.Of(ctx, gradOutput, 3, (saved, dy) =>
            {
                var (x, weight) = (saved[0], saved[1]);
                var (d, k) = ((int)x.shape[1], (int)weight.shape[2]);
                var (dx, slopes) = (empty_like(x), zeros(k, d));
                fixed (float* taps = ConvolutionKernel.TapsOf(new ReadOnlySpan<float>(CustomGradient.Pointer(weight), d * k), k))
                {
                    ConvolutionKernel.Backward(
                        CustomGradient.Pointer(x),
                        taps,
                        CustomGradient.Pointer(dy),
                        CustomGradient.Pointer(dx),
                        CustomGradient.Pointer(slopes),
                        lengths,
                        d,
                        k
                    );
                }

                return [dx, weight.requires_grad ? slopes.flip(0).t().reshape(d, 1, k) : null, null];
            });
        }
    }
}
