using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>Rows of a matrix by token id.</summary>
static class Embedding
{
    /// <param name="weight">[V, D]; where it is trained, its gradient is added to row by row.</param>
    /// <param name="ids">[N] of int64.</param>
    /// <param name="dtype">Of the result.</param>
    /// <returns>[N, D].</returns>
    public static Tensor Apply(Weight weight, Tensor ids, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        return Rows.apply(weight.Stored, ids, weight).to(dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Plain indexing would make a gradient as large as the matrix for every micro-batch.</summary>
    sealed class Rows : SingleTensorFunction<Rows>
    {
        public override string Name => "embedding";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (ids, weight) = ((Tensor)vars[1], (Weight)vars[2]);
            ctx.save_for_backward([ids]);
            ctx.save_data("weight", weight);
            return weight.Values.index_select(0, ids);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput) =>
            CustomGradient.Of(ctx, gradOutput, 3, (saved, dy) =>
            {
                var gradient = ((Weight)ctx.get_data("weight")).Gradient!;
                gradient.AddRows(saved[0], dy.to(gradient.dtype));
                return [null, null, null];
            });
    }
}
