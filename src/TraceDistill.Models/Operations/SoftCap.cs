using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

/// <summary>c · tanh(z / c), which keeps logits within ±c (Gemma 2, arXiv 2408.00118, section 2); no graph.</summary>
static class SoftCap
{
    /// <summary>In place: z ← c · tanh(z / c).</summary>
    public static Tensor Apply(Tensor logits, double cap) => logits.Scale(1 / cap).tanh_().Scale(cap);

    /// <summary>In place: the gradient of what was capped becomes that of what it was before.</summary>
    /// <param name="gradient">By the capped values.</param>
    /// <param name="capped">c · tanh(z / c); used up.</param>
    public static Tensor ApplyBack(Tensor gradient, Tensor capped, double cap)
    {
        var share = capped.Scale(1 / cap);
        return gradient.mul_(share.mul_(share).neg_().Add(1));
    }
}
