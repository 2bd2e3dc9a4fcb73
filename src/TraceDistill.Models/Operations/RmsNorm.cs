using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>
/// Root-mean-square normalisation over the last dimension, y = w ∘ x / √(mean(x²) + ε) (Zhang and Sennrich, arXiv 1910.07467, equation 4).
/// </summary>
static class RmsNorm
{
    /// <param name="x">[…, d]; of 16 bits, it is normalised in float32 and rounded afterwards.</param>
    /// <param name="weight">[d].</param>
    public static Tensor Apply(Tensor x, Tensor weight, double epsilon)
    {
        using var scope = NewDisposeScope();
        return (
            CustomGradient.TakesKernels(x) ? Kernel.apply(x.contiguous(), weight, (float)epsilon) : Plain(x, weight, epsilon)
        ).MoveToOuterDisposeScope();
    }

    static Tensor Plain(Tensor x, Tensor weight, double epsilon)
    {
        var wide = x.Wide();
        return (wide * (wide * wide).mean([-1], keepdim: true).Plus(epsilon).rsqrt() * weight).to(x.dtype);
    }

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "rms_norm";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (x, weight) = ((Tensor)vars[0], (Tensor)vars[1]);
            var (rows, d) = Size(x);
            var y = empty_like(x);
            var inverse = empty(rows);
            RmsNormKernel.Forward(Pointer(x), Pointer(weight), Pointer(y), Pointer(inverse), rows, d, (float)vars[2]);
            ctx.save_for_backward([x, weight, inverse]);
            return y;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput) =>
            CustomGradient.Of(ctx, gradOutput, 3, (saved, dy) =>
            {
                var (x, weight, inverse) = (saved[0], saved[1], saved[2]);
                var (rows, d) = Size(x);
                var dx = empty_like(x);
                var dw = weight.requires_grad ? zeros_like(weight) : null;
                RmsNormKernel.Backward(
                    Pointer(x),
                    Pointer(weight),
                    Pointer(inverse),
                    Pointer(dy),
                    Pointer(dx),
                    dw is null ? null : Pointer(dw),
                    rows,
                    d
                );
                return [dx, dw, null];
            });

        static (int Rows, int D) Size(Tensor x) => ((int)(x.numel() / x.shape[^1]), (int)x.shape[^1]);

        static float* Pointer(Tensor tensor) => CustomGradient.Pointer(tensor);
    }
}
