using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, K = soft targets, V = vocabulary, z = logits

/// <summary>
/// The student's distributions at a chunk of tokens: the logits of the tokens that targets name, and one number for all
/// others. What an objective takes from here is differentiable; the gradient of all V logits follows from that of these few.
/// </summary>
/// <remarks>
/// The others' mass is a sum over those tokens themselves, never 1 − Σq, so that it keeps its precision when it is tiny.
/// </remarks>
public sealed class StudentRows
{
    readonly NamedLogits _logits;
    readonly Tensor _outcomes,
        _drawnLogits;
    readonly List<(Tensor Ids, Tensor Logits)> _named = [];

    /// <param name="logits">[R, V] in float32; used up.</param>
    /// <param name="targets">The tokens that are named.</param>
    public StudentRows(Tensor logits, TargetRows targets)
    {
        using (no_grad())
        {
            _drawnLogits = Name(targets.Drawn, logits.gather(1, targets.Drawn)); // [R, 1]
            _logits = NamedLogits.Split(logits, targets.Ids, targets.IsPresent);
            _outcomes = _logits.Outcomes.requires_grad_(true); // [R, K + 1]
        }

        LogProbabilities = _outcomes.log_softmax(1);
        LogPartition = _outcomes.select(1, K) - Tail;
        Drawn = _drawnLogits.squeeze(1) - LogPartition;
    }

    /// <summary>
    /// [R, K + 1] of float64: log-probabilities of the tokens that the teacher reported, −∞ for filling, and last of all others together.
    /// </summary>
    public Tensor LogProbabilities { get; }

    /// <summary>[R, K] of float64: those of the tokens that the teacher reported alone.</summary>
    public Tensor Reported => LogProbabilities.narrow(1, 0, K);

    /// <summary>[R] of float64: log-probability of all tokens that the teacher did not report.</summary>
    public Tensor Tail => LogProbabilities.select(1, K);

    /// <summary>[R] of float64: log-probability of the drawn token.</summary>
    public Tensor Drawn { get; }

    /// <summary>[R] of float64: log Σ e^z.</summary>
    public Tensor LogPartition { get; }

    /// <summary>[R] of float64: the largest log-probability of all; no gradient.</summary>
    public Tensor Best
    {
        get
        {
            using var noGrad = no_grad();
            return BestLogits() - LogPartition;
        }
    }

    /// <summary>[R] of bool: whether no token is likelier than the drawn one.</summary>
    public Tensor DrawnIsBest
    {
        get
        {
            using var noGrad = no_grad();
            return _drawnLogits.squeeze(1).ge(BestLogits());
        }
    }

    long K => _logits.Ids.shape[1];

    /// <summary>The student's largest log-probabilities outside of what the teacher reported, by descending size.</summary>
    /// <param name="count">Number of them; fewer where the vocabulary has no more.</param>
    /// <returns>[R, count] of float64.</returns>
    public Tensor LargestOthers(int count)
    {
        Tensor logits;
        using (no_grad())
        {
            var (values, ids) = _logits.Exponentials.topk((int)Math.Min(count, _logits.Exponentials.shape[1]), 1);
            logits = Name(ids, values.AtLeast(NamedLogits.Least).log_().Add(_logits.Maxima.unsqueeze(1)));
        }

        return logits - LogPartition.unsqueeze(1);
    }

    /// <summary>The gradient of all logits, after a backward pass to what was taken from here; in the memory of the logits.</summary>
    /// <returns>[R, V] in float32.</returns>
    internal Tensor LogitGradient()
    {
        using var noGrad = no_grad();
        var gradient = _logits.Gradient(_outcomes.grad!);
        foreach (var (ids, logits) in _named)
        {
            if (logits.grad is { } slopes)
            {
                gradient.scatter_add_(1, ids, slopes.to(ScalarType.Float32));
            }
        }

        return gradient;
    }

    /// <summary>Returns whether no token is likelier than one that the teacher reported.</summary>
    /// <param name="columns">[R, 1] of int64: its place among those that are reported.</param>
    /// <returns>[R] of bool.</returns>
    public Tensor IsBest(Tensor columns)
    {
        using var noGrad = no_grad();
        return _outcomes.gather(1, columns).squeeze(1).ge(BestLogits());
    }

    /// <summary>
    /// [R] the largest logits. Compare these, which are float32's own numbers, and not log-probabilities: those of one token differ by
    /// rounding where they are computed in two ways.
    /// </summary>
    Tensor BestLogits() => maximum(_outcomes.narrow(1, 0, K).amax([1]), _logits.LargestOthers());

    /// <summary>Makes a leaf of some tokens' logits.</summary>
    Tensor Name(Tensor ids, Tensor logits)
    {
        var leaf = logits.to(ScalarType.Float64).requires_grad_(true);
        _named.Add((ids, leaf));
        return leaf;
    }
}
