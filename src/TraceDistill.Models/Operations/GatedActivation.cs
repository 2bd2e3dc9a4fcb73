using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>
/// act(gate) ∘ up (Shazeer, arXiv 2002.05202): silu(x) = x / (1 + e⁻ˣ), SwiGLU; or the approximation by tanh of GELU (Hendrycks and Gimpel,
/// arXiv 1606.08415, section 2), GeGLU.
/// </summary>
static class GatedActivation
{
    /// <param name="gateUp">[N, 2·F]: gate, then up.</param>
    /// <returns>[N, F].</returns>
    public static Tensor Apply(Tensor gateUp, GateActivation activation = GateActivation.Silu)
    {
        using var scope = NewDisposeScope();
        if (activation == GateActivation.Silu && CustomGradient.TakesKernels(gateUp))
        {
            return Kernel.apply(gateUp).MoveToOuterDisposeScope();
        }

        var f = gateUp.shape[1] / 2;
        var gate = gateUp.narrow(1, 0, f);
        return (
            (activation == GateActivation.Silu ? nn.functional.silu(gate) : Gelu(gate)) * gateUp.narrow(1, f, f)
        ).MoveToOuterDisposeScope();
    }

    /// <summary>½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).</summary>
    static Tensor Gelu(Tensor x)
    {
        var inner = x.Plus((x * x * x).Times(0.044715)).Times(Math.Sqrt(2 / Math.PI));
        return x.Times(0.5) * inner.tanh().Plus(1);
    }

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "swiglu";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var gateUp = (Tensor)vars[0];
            int rows = (int)gateUp.shape[0],
                f = (int)gateUp.shape[1] / 2;
            var y = empty(rows, f);
            SwiGluKernel.Forward(CustomGradient.Pointer(gateUp), CustomGradient.Pointer(y), rows, f);
            ctx.save_for_backward([gateUp]);
            return y;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput) =>
            CustomGradient.Of(ctx, gradOutput, 1, (saved, dy) =>
            {
                // Nothing else reads what the product wrote: its memory takes the gradient.
                var gateUp = saved[0].detach();
                SwiGluKernel.Backward(
                    CustomGradient.Pointer(gateUp),
                    CustomGradient.Pointer(dy),
                    (int)gateUp.shape[0],
                    (int)gateUp.shape[1] / 2
                );
                return [gateUp];
            });
    }
}
