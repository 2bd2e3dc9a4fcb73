using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// H = query heads, G = key heads, d = channels of a head, W = (H + 2·G)·d

/// <summary>
/// Norms of queries and keys: <see cref="RmsNorm"/> over each head, all heads of a kind by
/// one weight (Qwen 3, Gemma 3), or over all heads together (OLMo 2).
/// </summary>
static class HeadNorm
{
    /// <param name="qkv">[N, W]; values are left alone.</param>
    /// <param name="query">[d] for each head by itself, [H·d] for all heads together.</param>
    /// <param name="key">[d] or [G·d].</param>
    public static Tensor Apply(Tensor qkv, Tensor query, Tensor key, ModelConfiguration configuration)
    {
        using var scope = NewDisposeScope();
        return (
            CustomGradient.TakesKernels(qkv) && query.shape[0] == configuration.HeadDim
                ? Kernel.apply(qkv, query, key, configuration)
                : Plain(qkv, query, key, configuration)
        ).MoveToOuterDisposeScope();
    }

    static Tensor Plain(Tensor qkv, Tensor query, Tensor key, ModelConfiguration c)
    {
        return cat(
            [
                Normalised(0, c.QuerySize, query),
                Normalised(c.QuerySize, c.KeyValueSize, key),
                qkv.narrow(1, c.QuerySize + c.KeyValueSize, c.KeyValueSize),
            ],
            1
        );

        Tensor Normalised(int first, int width, Tensor weight) =>
            RmsNorm
                .Apply(qkv.narrow(1, first, width).reshape(qkv.shape[0], width / weight.shape[0], weight.shape[0]), weight, c.RmsNormEps)
                .reshape(qkv.shape[0], width);
    }

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "head_norm";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (qkv, query, key, c) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (ModelConfiguration)vars[3]);
            var rows = (int)qkv.shape[0];
            var output = qkv.clone();
            var (raw, inverse) = (empty(rows, HeadNormKernel.Rotated(c)), empty(rows, HeadNormKernel.Heads(c)));
            new HeadNormKernel(c).Forward(Pointer(output), Pointer(query), Pointer(key), Pointer(raw), Pointer(inverse), rows);
            ctx.save_for_backward([raw, inverse, query, key]);
            ctx.save_data("configuration", c);
            return output;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var c = (ModelConfiguration)ctx.get_data("configuration");
            return CustomGradient.Of(ctx, gradOutput, 4, (saved, dy) =>
            {
                var (raw, inverse, query, key) = (saved[0], saved[1], saved[2], saved[3]);
                var gradient = dy.clone();
                var (queryGradient, keyGradient) = (zeros_like(query), zeros_like(key));
                new HeadNormKernel(c).Backward(
                    Pointer(gradient),
                    Pointer(query),
                    Pointer(key),
                    Pointer(raw),
                    Pointer(inverse),
                    Pointer(queryGradient),
                    Pointer(keyGradient),
                    (int)raw.shape[0]
                );
                return [gradient, query.requires_grad ? queryGradient : null, key.requires_grad ? keyGradient : null, null];
            });
        }

        static float* Pointer(Tensor tensor) => CustomGradient.Pointer(tensor);
    }
}
