using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models;

/// <summary>
/// The loss that keeps experts equally busy, of one pass: E · Σᵢ fᵢ·Pᵢ for each layer with experts, fᵢ being the
/// share of tokens that go to expert i and Pᵢ its mean probability (Fedus et al., "Switch Transformers", arXiv
/// 2101.03961, equations 4 to 6; with k experts a token f sums to k, as in transformers' Mixtral, so that k is what
/// perfect balance gives). Its mean over the layers counts <c>router_aux_loss_coef</c> for each trained token.
/// </summary>
/// <remarks>
/// Tokens are those of one pass, prompts included. The loss is not a sum over tokens: how a batch is cut
/// into passes changes it, as with every implementation that takes the shares of what one device sees.
/// </remarks>
/// <param name="configuration">Has experts.</param>
/// <param name="tokens">Trained tokens of the pass: the loss is added up as those of tokens are.</param>
sealed class RouterBalance(ModelConfiguration configuration, int tokens)
{
    readonly Dictionary<int, double> _losses = [];
    readonly double _factor =
        configuration.Experts!.RouterLossWeight
        * tokens
        / Math.Max(1, Enumerable.Range(0, configuration.NumHiddenLayers).Count(configuration.HasExperts));

    /// <summary>The weighted loss of all layers, times the trained tokens.</summary>
    public double Loss => _factor * _losses.Values.Sum();

    /// <returns>For models that have experts with a loss.</returns>
    public static RouterBalance? Of(ModelConfiguration configuration, int tokens) =>
        configuration.Experts is { RouterLossWeight: > 0 } ? new RouterBalance(configuration, tokens) : null;

    /// <summary>Adds a layer's loss.</summary>
    /// <param name="layer">Its index.</param>
    /// <param name="y">[N, D] what it computed.</param>
    /// <param name="probabilities">[N, E].</param>
    /// <param name="counts">[E] tokens of each expert.</param>
    /// <returns><paramref name="y"/>; with its gradient that of the loss flows.</returns>
    public Tensor Attach(int layer, Tensor y, Tensor probabilities, int[] counts)
    {
        double rows = probabilities.shape[0],
            experts = counts.Length;
        var shares = tensor(Array.ConvertAll(counts, count => experts * count / rows), device: y.device).to(probabilities.dtype);
        var loss = (probabilities.mean([0]) * shares).sum();
        _losses[layer] = loss.to(ScalarType.Float64).cpu().data<double>()[0];
        return Attached.apply(y, loss, _factor);
    }

    /// <summary>y; the gradient of the loss is a constant, as of one that is added to the whole.</summary>
    sealed class Attached : SingleTensorFunction<Attached>
    {
        public override string Name => "router_balance";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("factor", (double)vars[2]);
            ctx.save_data("dtype", ((Tensor)vars[1]).dtype);
            return ((Tensor)vars[0]).clone();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var (factor, dtype) = ((double)ctx.get_data("factor"), (ScalarType)ctx.get_data("dtype"));
            return CustomGradient.Of(ctx, gradOutput, 3, (_, dy) => [dy, tensor(factor, dtype: dtype, device: dy.device), null]);
        }
    }
}
