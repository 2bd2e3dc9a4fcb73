using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, K = soft targets, V = vocabulary, z = logits

/// <summary>
/// Logits of the tokens that targets name as leaves, and one number for all others: the gradient of all V logits follows from that of
/// these few, so that what objectives compute is K wide and not V.
/// </summary>
/// <remarks>
/// The others' mass is a sum over those tokens themselves, never 1 − Σq, so that it keeps its precision when it is tiny.
/// </remarks>
sealed class NamedStudentRows : StudentRows
{
    readonly NamedLogits _logits;
    readonly Tensor _outcomes,
        _drawnLogits;
    readonly List<(Tensor Ids, Tensor Logits)> _named = [];

    public NamedStudentRows(Tensor logits, TargetRows targets)
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

    public override Tensor LogProbabilities { get; }

    public override Tensor Drawn { get; }

    public override Tensor LogPartition { get; }

    long K => _logits.Ids.shape[1];

    public override Tensor LargestOthers(int count)
    {
        Tensor logits;
        using (no_grad())
        {
            var (values, ids) = _logits.Exponentials.topk((int)Math.Min(count, _logits.Exponentials.shape[1]), 1);
            logits = Name(ids, values.AtLeast(NamedLogits.Least).log_().Add(_logits.Maxima.unsqueeze(1)));
        }

        return logits - LogPartition.unsqueeze(1);
    }

    internal override Tensor LogitGradient() => Gradient(_logits, _outcomes.grad!, [.. _named.Select(named => named.Logits.grad)]);

    internal override Tensor GradientOf(Tensor loss)
    {
        // All leaves are gone through, or there would be none of some.
        var whole = _named.Aggregate(loss.Plus(Nothing(_outcomes)), (sum, named) => sum.Plus(Nothing(named.Logits)));
        var slopes = autograd.grad([whole], [_outcomes, .. _named.Select(named => named.Logits)], retain_graph: true);
        Tensor exponentials;
        using (no_grad())
        {
            exponentials = _logits.Exponentials.clone();
        }

        return Gradient(_logits with { Exponentials = exponentials }, slopes[0], [.. slopes.Skip(1)]);
    }

    protected override Tensor BestLogits() => maximum(ReportedLogits().amax([1]), _logits.LargestOthers());

    protected override Tensor DrawnLogits() => _drawnLogits.squeeze(1);

    protected override Tensor ReportedLogits() => _outcomes.narrow(1, 0, K);

    /// <summary>0, with a gradient of 0; of filling, whose logits are −∞, too.</summary>
    static Tensor Nothing(Tensor leaf) => leaf.narrow(1, 0, 0).sum();

    Tensor Gradient(NamedLogits logits, Tensor outcomes, Tensor?[] named)
    {
        using var noGrad = no_grad();
        var gradient = logits.Gradient(outcomes);
        foreach (var ((ids, _), slopes) in _named.Zip(named))
        {
            if (slopes is not null)
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
