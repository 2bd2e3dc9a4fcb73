using TorchSharp;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>silu(gate) ∘ up, silu(x) = x / (1 + e⁻ˣ) (Shazeer, arXiv 2002.05202, SwiGLU).</summary>
static class GatedActivation
{
    /// <param name="gateUp">[N, 2·F]: gate, then up.</param>
    /// <returns>[N, F].</returns>
    public static Tensor Apply(Tensor gateUp)
    {
        using var scope = NewDisposeScope();
        if (CustomGradient.TakesKernels(gateUp))
        {
            return Kernel.apply(gateUp).MoveToOuterDisposeScope();
        }

        var f = gateUp.shape[1] / 2;
        return (nn.functional.silu(gateUp.narrow(1, 0, f)) * gateUp.narrow(1, f, f)).MoveToOuterDisposeScope();
    }

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "swiglu";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var gateUp = (Tensor)vars[0];
            int rows = (int)gateUp.shape[0], f = (int)gateUp.shape[1] / 2;
            var y = empty(rows, f);
            SwiGluKernel.Forward(CustomGradient.Pointer(gateUp), CustomGradient.Pointer(y), rows, f);
            ctx.save_for_backward([gateUp]);
            return y;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput) => CustomGradient.Of(ctx, gradOutput, 1, (saved, dy) =>
        {
            // Nothing else reads what the product wrote: its memory takes the gradient.
            var gateUp = saved[0].detach();
            SwiGluKernel.Backward(CustomGradient.Pointer(gateUp), CustomGradient.Pointer(dy), (int)gateUp.shape[0], (int)gateUp.shape[1] / 2);
            return [gateUp];
        });
    }
}
