using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>A weight and where its gradient is added up.</summary>
/// <param name="Stored">As it is held: float32, float64 or 16 bits. Where it is trained it is a leaf of autograd.</param>
/// <param name="Gradient">
/// Of the same shape, in float32; null where it is not trained. It is the leaf's <c>grad</c>
/// where both are of one dtype, which libtorch asks of a <c>grad</c>.
/// </param>
/// <param name="Rounded">
/// Of the same shape, in float32: the blocks of the file that the model is trained for, which are read in place of the weight, while the
/// gradient goes to the weight as if it were read (Bengio et al., arXiv 1308.3432, straight-through estimator); null for none.
/// </param>
sealed record Weight(Tensor Stored, Tensor? Gradient, Tensor? Rounded = null)
{
    /// <summary>The values that are computed with.</summary>
    public Tensor Values => Rounded ?? Stored;

    /// <summary>
    /// The weight in float32 (or float64), for operations of libtorch; their gradient is added to <see cref="Gradient"/>.
    /// </summary>
    public Tensor Read() =>
        Stored.dtype is ScalarType.Float32 or ScalarType.Float64 ? Stored
        : Gradient is null ? Stored.to(ScalarType.Float32)
        : Widened.apply(Stored, this);

    sealed class Widened : SingleTensorFunction<Widened>
    {
        public override string Name => "widened";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("weight", vars[1]);
            return ((Tensor)vars[0]).to(ScalarType.Float32);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput) => CustomGradient.Of(ctx, gradOutput, 2, (_, dy) =>
            {
                ((Weight)ctx.get_data("weight")).Gradient!.Add(dy);
                return [null, null];
            });
    }
}
