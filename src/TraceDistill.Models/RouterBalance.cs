using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models;

// N = tokens of a layer, S = sequences, E = experts, k = experts of a token

/// <summary>
/// The loss that keeps experts equally busy: E · Σᵢ fᵢ·Pᵢ for each sequence and layer with experts, fᵢ being the share of
/// the sequence's tokens that go to expert i and Pᵢ its mean probability (Fedus et al., "Switch Transformers", arXiv
/// 2101.03961, equations 4 to 6; with k experts a token f sums to k, as in transformers' Mixtral, so that k is what perfect
/// balance gives). Its mean over the layers counts <c>router_aux_loss_coef</c> for each trained token of the sequence.
/// </summary>
/// <remarks>
/// Shares are those of a sequence (DeepSeek-AI, "DeepSeek-V3", arXiv 2412.19437, equation 17), prompts included, and not of
/// what a pass or a device sees: so the loss is a sum over sequences, however a batch is cut. The last layer computes nothing for
/// tokens whose output is not wanted, and counts the others.
/// </remarks>
/// <param name="configuration">Has experts.</param>
/// <param name="batch">The sequences of the pass; its outputs are the trained tokens.</param>
sealed class RouterBalance(ModelConfiguration configuration, TokenBatch batch)
{
    readonly Dictionary<int, (double Sum, double Squares)> _losses = [];
    readonly int[] _sequences = [.. batch.Lengths.SelectMany((length, sequence) => Enumerable.Repeat(sequence, length))];
    readonly double _factor =
        configuration.Experts!.RouterLossWeight
        / Math.Max(1, Enumerable.Range(0, configuration.NumHiddenLayers).Count(configuration.HasExperts));

    /// <summary>The weighted loss of all layers, summed over trained tokens.</summary>
    public double Loss => _factor * _losses.Values.Sum(loss => loss.Sum);

    /// <summary>Sum of the squared gradients of that by the probabilities of all tokens and layers.</summary>
    public double SquaredGradient => _factor * _factor * _losses.Values.Sum(loss => loss.Squares);

    /// <returns>For models that have experts with a loss.</returns>
    public static RouterBalance? Of(ModelConfiguration configuration, TokenBatch batch) =>
        configuration.Experts is { RouterLossWeight: > 0 } ? new RouterBalance(configuration, batch) : null;

    /// <summary>Adds a layer's loss.</summary>
    /// <param name="layer">Its index.</param>
    /// <param name="y">[N, D] what it computed, for all tokens or for the wanted ones.</param>
    /// <param name="probabilities">[N, E].</param>
    /// <param name="chosen">[N·k] experts of the first token, of the second, ….</param>
    /// <returns><paramref name="y"/>; with its gradient that of the loss flows.</returns>
    public Tensor Attach(int layer, Tensor y, Tensor probabilities, long[] chosen)
    {
        var (rows, experts) = ((int)probabilities.shape[0], (int)probabilities.shape[1]);
        int[] sequences = rows == _sequences.Length ? _sequences : [.. batch.Outputs.Select(output => _sequences[output])];
        var (sizes, trained) = (CountsOf(sequences), CountsOf(batch.Outputs.Select(output => _sequences[output])));
        var counts = new double[batch.Lengths.Length * experts]; // [S, E]
        var ofToken = chosen.Length / rows;
        for (var place = 0; place < chosen.Length; place++)
        {
            counts[(sequences[place / ofToken] * experts) + (int)chosen[place]]++;
        }

        // Of each probability: trained tokens · E · f / tokens, f and P being means over the tokens.
        double[] slopes =
        [
            .. counts.Select((count, i) => count * trained[i / experts] * experts / Math.Pow(Math.Max(1, sizes[i / experts]), 2)),
        ];
        var weights = tensor(slopes, [batch.Lengths.Length, experts], device: y.device)
            .to(probabilities.dtype)
            .index_select(0, tensor(sequences, dtype: ScalarType.Int64, device: y.device)); // [N, E]
        var loss = (probabilities * weights).sum();
        _losses[layer] = (
            loss.to(ScalarType.Float64).cpu().data<double>()[0],
            slopes.Select((slope, i) => sizes[i / experts] * slope * slope).Sum()
        );
        return Attached.apply(y, loss, _factor);
    }

    /// <returns>[S] tokens of each sequence.</returns>
    int[] CountsOf(IEnumerable<int> sequences)
    {
        var counts = new int[batch.Lengths.Length];
        foreach (var sequence in sequences)
        {
            counts[sequence]++;
        }

        return counts;
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
