using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, K = soft targets, V = vocabulary, z = logits

/// <summary>
/// The student's distributions at a chunk of tokens: the logits of the tokens that targets name, and one number for all others. What an objective takes from
/// here is differentiable; the gradient of all V logits follows from that of these few.
/// </summary>
/// <remarks>
/// With E = e^(z − max) outside the named tokens and S = Σ E, the log of all others' mass is ρ = max + log S, and ∂ρ/∂zᵢ = Eᵢ / S. The sum runs over those tokens
/// themselves, never 1 − Σq, so that it keeps its precision when it is tiny.
/// </remarks>
public sealed class StudentRows
{
    /// <summary>Below any sum of float32 exponentials that is not zero.</summary>
    const float Least = 1e-37f;

    readonly Tensor _exponentials, _sums, _maxima, _rest;
    readonly List<(Tensor Ids, Tensor Logits)> _named = [];

    /// <param name="logits">[R, V] in float32; used up.</param>
    /// <param name="targets">The tokens that are named.</param>
    public StudentRows(Tensor logits, TargetRows targets)
    {
        Tensor reported, drawn;
        using (no_grad())
        {
            reported = Name(targets.Ids, logits.gather(1, targets.Ids));                           // [R, K]
            drawn = Name(targets.Targets.unsqueeze(1), logits.gather(1, targets.Targets.unsqueeze(1)));
            (_maxima, Best) = logits.max(-1, keepdim: true);                                       // [R, 1]
            _exponentials = logits.sub_(_maxima).exp_();                                           // [R, V]
            _exponentials.scatter_(1, targets.Ids, zeros(targets.Ids.shape, device: logits.device));
            _sums = _exponentials.sum(-1).clamp_(min: Least);                                      // [R]
            _rest = _sums.to(ScalarType.Float64).log_().add_(_maxima.squeeze(-1));                 // [R]
        }

        _rest.requires_grad_(true);
        var present = reported.masked_fill(~targets.IsPresent, double.NegativeInfinity);
        LogPartition = cat([present, _rest.unsqueeze(1)], 1).logsumexp(1);
        Reported = present - LogPartition.unsqueeze(1);
        Tail = _rest - LogPartition;
        Drawn = drawn.squeeze(1) - LogPartition;
    }

    /// <summary>[R] of float64: log Σ e^z.</summary>
    public Tensor LogPartition { get; }

    /// <summary>[R, K] of float64: log-probabilities of the tokens that the teacher reported; −∞ for filling.</summary>
    public Tensor Reported { get; }

    /// <summary>[R] of float64: log-probability of all tokens that the teacher did not report.</summary>
    public Tensor Tail { get; }

    /// <summary>[R] of float64: log-probability of the drawn token.</summary>
    public Tensor Drawn { get; }

    /// <summary>[R, 1] of int64: the most probable token; no gradient.</summary>
    public Tensor Best { get; }

    /// <summary>[R] of float64: the probability of <see cref="Best"/>; no gradient.</summary>
    public Tensor BestProbability => (_maxima.squeeze(-1).to(ScalarType.Float64) - LogPartition.detach()).exp();

    /// <summary>The student's largest log-probabilities outside of what the teacher reported, by descending size.</summary>
    /// <param name="count">How many; fewer where the vocabulary has no more.</param>
    /// <returns>[R, count] of float64.</returns>
    public Tensor LargestOthers(int count)
    {
        using var noGrad = no_grad();
        var (values, ids) = _exponentials.topk((int)Math.Min(count, _exponentials.shape[1]), 1);
        var logits = Name(ids, values.clamp(min: Least).log_().add_(_maxima));
        using var grad = enable_grad();
        return logits - LogPartition.unsqueeze(1);
    }

    /// <summary>The gradient of all logits, after a backward pass to what was taken from here; in the memory of the logits.</summary>
    /// <returns>[R, V] in float32.</returns>
    internal Tensor LogitGradient()
    {
        using var noGrad = no_grad();
        var gradient = _exponentials.mul_((_rest.grad! / _sums).to(ScalarType.Float32).unsqueeze(1));
        foreach (var (ids, logits) in _named)
        {
            if (logits.grad is { } slopes)
            {
                gradient.scatter_add_(1, ids, slopes.to(ScalarType.Float32));
            }
        }

        return gradient;
    }

    /// <summary>Makes a leaf of some tokens' logits.</summary>
    Tensor Name(Tensor ids, Tensor logits)
    {
        var leaf = logits.to(ScalarType.Float64).requires_grad_(true);
        _named.Add((ids, leaf));
        return leaf;
    }
}
