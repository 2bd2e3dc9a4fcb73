using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// N = rows, E = channels

/// <summary>
/// h_t = a_t ∘ h_{t−1} + b_t with h_{−1} = 0 in log₂ N steps of libtorch's operations, on any device: two neighbouring steps are one,
/// a₂a₁ and a₂b₁ + b₂ (Blelloch, "Prefix sums and their applications", CMU-CS-90-190, section 1.4; Martin and Cundy, arXiv 1709.04057).
/// </summary>
/// <remarks>
/// With 0 ≤ a ≤ 1 nothing is divided and nothing can overflow: a product of many a may become 0, and then what it multiplies counts for
/// nothing. A sequence begins where a is 0, so that many may lie one after another. Gradients are not recorded.
/// </remarks>
static class LinearRecurrence
{
    /// <param name="a">[N, E] from 0 to 1; 0 where a sequence begins.</param>
    /// <param name="b">[N, E].</param>
    /// <returns>[N, E] h.</returns>
    public static Tensor Forward(Tensor a, Tensor b)
    {
        using var noGrad = no_grad();
        return Scan(a.contiguous(), b.contiguous());
    }

    /// <summary>The same from the end, λ_t = ∂h_t + a_{t+1} ∘ λ_{t+1}: gradients are ∂b = λ and ∂a_t = λ_t ∘ h_{t−1}.</summary>
    /// <param name="a">[N, E] as given to the forward pass.</param>
    /// <param name="slopes">[N, E] ∂h.</param>
    /// <returns>[N, E] λ.</returns>
    public static Tensor Backward(Tensor a, Tensor slopes)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var next = cat([a.narrow(0, 1, a.shape[0] - 1), zeros_like(a.narrow(0, 0, 1))], 0);
        return Scan(next.flip(0), slopes.flip(0)).flip(0).MoveToOuterDisposeScope();
    }

    /// <param name="h">[N, E].</param>
    /// <returns>[N, E] h_{t−1}, zeros at the first row.</returns>
    public static Tensor Former(Tensor h) => cat([zeros_like(h.narrow(0, 0, 1)), h.narrow(0, 0, h.shape[0] - 1)], 0);

    static Tensor Scan(Tensor a, Tensor b)
    {
        var rows = a.shape[0];
        if (rows < 2)
        {
            return b.clone();
        }

        using var scope = NewDisposeScope();
        var (evenA, oddA) = Halves(a);
        var (evenB, oddB) = Halves(b);
        var odd = Scan(oddA * evenA, (oddA * evenB).Add(oddB)); // h after each second row
        var h = empty_like(b);
        Halves(h).Odd.copy_(odd);
        var others = (rows - 1) / 2; // even rows behind the first
        using var first = h.narrow(0, 0, 1);
        first.copy_(b.narrow(0, 0, 1));
        if (others > 0)
        {
            var (later, lead, input) = (h.slice(0, 2, rows, 2), a.slice(0, 2, rows, 2), b.slice(0, 2, rows, 2));
            later.copy_((lead * odd.narrow(0, 0, others)).Add(input));
        }

        return h.MoveToOuterDisposeScope();
    }

    /// <returns>Of 2·m or 2·m + 1 rows the first 2·m: views of those with even and with odd numbers.</returns>
    static (Tensor Even, Tensor Odd) Halves(Tensor x)
    {
        var half = x.shape[0] / 2;
        var pairs = x.narrow(0, 0, 2 * half).view(half, 2, x.shape[1]);
        return (pairs.select(1, 0), pairs.select(1, 1));
    }
}
