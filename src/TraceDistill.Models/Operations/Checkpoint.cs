using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>
/// Gradient checkpointing: only a block's input is kept, and the backward pass computes the block again (Chen et al., arXiv 1604.06174).
/// </summary>
static class Checkpoint
{
    /// <param name="block">From its input to its output; the same at every call.</param>
    /// <param name="input">[…].</param>
    public static Tensor Apply(Func<Tensor, Tensor> block, Tensor input)
    {
        using var scope = NewDisposeScope();
        // What is trained inside of the block is not seen from outside: the graph has to reach it whether the input is trained or not.
        var anchor = zeros(1).requires_grad_(true);
        return Block.apply(input, block, anchor).MoveToOuterDisposeScope();
    }

    sealed class Block : SingleTensorFunction<Block>
    {
        public override string Name => "checkpoint";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (input, block) = ((Tensor)vars[0], (Func<Tensor, Tensor>)vars[1]);
            ctx.save_for_backward([input]);
            ctx.save_data("block", block);
            ctx.save_data("needs", input.requires_grad);
            return block(input);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var (block, needs) = ((Func<Tensor, Tensor>)ctx.get_data("block"), (bool)ctx.get_data("needs"));
            return CustomGradient.Of(ctx, gradOutput, 3, (saved, dy) =>
            {
                using var recorded = enable_grad();
                var input = saved[0].detach().requires_grad_(needs);
                block(input).backward([dy]);
                return [needs ? input.grad : null, null, null];
            });
        }
    }
}
