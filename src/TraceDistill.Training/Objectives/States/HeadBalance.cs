using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// H = heads, R = trained tokens of a sequence, T = its tokens

/// <summary>How much each head counts.</summary>
public enum HeadWeights
{
    /// <summary>All alike.</summary>
    Uniform,

    /// <summary>By a learned uncertainty s of each head: Σ exp(−s) · loss + s (Kendall et al., arXiv 1705.07115, equation 10).</summary>
    Learned,

    /// <summary>So that the gradients of all heads are of one size (as GradNorm balances tasks, Chen et al., arXiv 1711.02257).</summary>
    Gradient,
}

/// <summary>The mean of the losses of heads, each counted as <see cref="HeadWeights"/> has it.</summary>
static class HeadBalance
{
    const string Uncertainty = "uncertainty";

    /// <summary>Weights that are learned: [pairs of layers, heads] of uncertainties, 0 at first.</summary>
    public static IReadOnlyList<AuxiliaryWeight> Weights(HeadWeights weights, int pairs, int heads) =>
        weights == HeadWeights.Learned ? [new AuxiliaryWeight(Uncertainty, [pairs, heads], 0)] : [];

    /// <param name="weights">The rule.</param>
    /// <param name="each">[H] loss of each head, summed over trained tokens.</param>
    /// <param name="values">[H, R, T] of each sequence: the student's values by which gradients are measured.</param>
    /// <param name="states">Has the uncertainties.</param>
    /// <param name="pair">Index of the pair of layers.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Mean(HeadWeights weights, Tensor each, IReadOnlyList<Tensor> values, StatePair states, int pair) =>
        weights switch
        {
            HeadWeights.Uniform => each.mean(),
            HeadWeights.Learned => Uncertain(each, states.Own(Uncertainty)[pair], states.Tokens).mean(),
            _ => (each * OfOneSize(each, values)).mean(),
        };

    static Tensor Uncertain(Tensor each, Tensor uncertainty, int tokens) =>
        (each * uncertainty.neg().exp()).Plus(uncertainty.Times(tokens));

    /// <summary>Weights of a mean of 1, in inverse proportion to the norms of the heads' gradients by their values.</summary>
    /// <returns>[H].</returns>
    static Tensor OfOneSize(Tensor each, IReadOnlyList<Tensor> values)
    {
        const double Least = 1e-12;
        var slopes = autograd.grad([each.sum()], [.. values], retain_graph: true);
        using var noGrad = no_grad();
        var squares = slopes.Select(slope => slope.Squared().sum([1L, 2L])).Aggregate((a, b) => a.Plus(b));
        var inverse = squares.sqrt().Plus(Least).reciprocal();
        return inverse / inverse.mean();
    }
}
