using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// N = rows (tokens) of all sequences, S = sequences, E = channels of the state

/// <summary>
/// The recurrence of minGRU: h_t = (1 − z_t) ∘ h_{t−1} + z_t ∘ g(c_t), z_t = σ(k_t), g(c) = c + ½ for c ≥ 0 and σ(c) below,
/// h_{−1} = 0 (Feng et al., "Were RNNs All We Needed?", arXiv 2410.01201, section 3.1 and appendix B). Gate k and candidate c are
/// products of the input alone, so that no step has to wait for the one before it.
/// </summary>
/// <remarks>
/// 1 − z is computed as σ(−k), exact however near to 0 or 1 it is. The paper computes in logarithms because its scan divides by products
/// of (1 − z); neither way here does. States are float32 where the rest is in 16 bits. Gates and states alone are kept for the way back.
/// </remarks>
static class MinGru
{
    /// <param name="gates">[N, 2·E]: k, then c.</param>
    /// <param name="rows">Where sequences begin.</param>
    /// <param name="former">[S, E] states that sequences come with; null for none. No gradient is recorded with it.</param>
    /// <returns>[N, E] states after each token, in float32 or float64.</returns>
    public static Tensor Apply(Tensor gates, SequenceRows rows, Tensor? former = null)
    {
        using var scope = NewDisposeScope();
        return (
            former is not null ? Plain.apply(gates, rows, former)
            : CustomGradient.TakesKernels(gates) ? Kernel.apply(gates.contiguous(), rows)
            : Plain.apply(gates, rows)
        ).MoveToOuterDisposeScope();
    }

    /// <returns>z, 1 − z and g, in float32 or float64.</returns>
    static (Tensor Taken, Tensor Kept, Tensor Value) Parts(Tensor gates)
    {
        var channels = gates.shape[1] / 2;
        var (gate, candidate) = (gates.narrow(1, 0, channels).Wide(), gates.narrow(1, channels, channels).Wide());
        return (gate.sigmoid(), gate.neg().sigmoid(), where(candidate.IsNegative(), candidate.sigmoid(), candidate.Plus(0.5)));
    }

    sealed class Plain : SingleTensorFunction<Plain>
    {
        public override string Name => "min_gru_scan";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (gates, rows, former) = ((Tensor)vars[0], (SequenceRows)vars[1], vars.Length > 2 ? (Tensor)vars[2] : null);
            var (taken, kept, value) = Parts(gates);
            var added = taken * value;
            if (former is not null)
            {
                added = added.PlusRows(rows.Firsts, kept.index_select(0, rows.Firsts) * former.to(kept.dtype));
            }

            var states = LinearRecurrence.Forward(kept * rows.Within, added);
            ctx.save_for_backward([gates, states]);
            ctx.save_data("rows", rows);
            ctx.save_data("arguments", vars.Length);
            return states;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var (rows, arguments) = ((SequenceRows)ctx.get_data("rows"), (int)ctx.get_data("arguments"));
            return CustomGradient.Of(ctx, gradOutput, arguments, (saved, dh) =>
            {
                var (gates, states) = (saved[0], saved[1]);
                var (taken, kept, value) = Parts(gates);
                var candidate = gates.narrow(1, taken.shape[1], taken.shape[1]);
                var slopes = LinearRecurrence.Backward(kept * rows.Within, dh);
                var dk = slopes * (value - LinearRecurrence.Former(states) * rows.Within) * taken * kept;
                // g = σ below 0, where its slope is σ·(1 − σ); 1 above.
                var dc = slopes * taken * where(candidate.IsNegative(), value * value.neg().Plus(1), ones_like(value));
                return [cat([dk, dc], 1).to(gates.dtype), .. new Tensor?[arguments - 1]];
            });
        }
    }

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "min_gru";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (gates, rows) = ((Tensor)vars[0], (SequenceRows)vars[1]);
            var channels = (int)gates.shape[1] / 2;
            var states = empty(gates.shape[0], channels);
            MinGruKernel.Forward(CustomGradient.Pointer(gates), CustomGradient.Pointer(states), rows.Lengths, channels);
            ctx.save_for_backward([gates, states]);
            ctx.save_data("lengths", rows.Lengths);
            return states;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var lengths = (int[])ctx.get_data("lengths");
            return CustomGradient.Of(ctx, gradOutput, 2, (saved, slopes) =>
            {
                var (gates, states) = (saved[0], saved[1]);
                var gradient = empty_like(gates);
                MinGruKernel.Backward(
                    CustomGradient.Pointer(gates),
                    CustomGradient.Pointer(states),
                    CustomGradient.Pointer(slopes),
                    CustomGradient.Pointer(gradient),
                    lengths,
                    (int)states.shape[1]
                );
                return [gradient, null];
            });
        }
    }
}
