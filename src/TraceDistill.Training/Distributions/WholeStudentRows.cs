using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, K = soft targets, V = vocabulary

/// <summary>All logits as leaves, for objectives and targets that look at the whole vocabulary.</summary>
sealed class WholeStudentRows(Tensor logits, TargetRows targets) : StudentRows
{
    readonly Tensor _logits = logits.requires_grad_(true);
    Tensor? _logProbabilities,
        _drawn,
        _logPartition;

    public override Tensor AllLogits => _logits;

    public override Tensor LogProbabilities => _logProbabilities ??= Recorded(WithTail);

    public override Tensor Drawn => _drawn ??= Recorded(() => DrawnLogits() - LogPartition);

    public override Tensor LogPartition => _logPartition ??= Recorded(() => Wide(_logits.logsumexp(1)));

    public override Tensor LargestOthers(int count)
    {
        var others = Others();
        var (values, _) = others.topk((int)Math.Min(count, others.shape[1]), 1);
        return Wide(values) - LogPartition.unsqueeze(1);
    }

    internal override Tensor LogitGradient() => _logits.grad ?? zeros_like(_logits);

    internal override Tensor GradientOf(Tensor loss) => autograd.grad([loss], [_logits], retain_graph: true)[0];

    protected override Tensor BestLogits() => Wide(_logits.amax([1]));

    protected override Tensor DrawnLogits() => Wide(_logits.gather(1, targets.Drawn).squeeze(1));

    protected override Tensor ReportedLogits() => Wide(_logits.gather(1, targets.Ids));

    /// <summary>Records the gradient of a kept tensor, whoever asks for it first.</summary>
    static Tensor Recorded(Func<Tensor> make)
    {
        using var recorded = enable_grad();
        return make();
    }

    Tensor WithTail()
    {
        var named = ReportedLogits().NegativeInfinityWhere(~targets.IsPresent);
        var tail = Wide(Others().logsumexp(1)).unsqueeze(1);
        return cat([named, tail], 1) - LogPartition.unsqueeze(1);
    }

    /// <summary>Logits, as good as −∞ where a token is reported: a true −∞ would have no gradient where nothing is left.</summary>
    Tensor Others()
    {
        const double Never = -1e30;
        return _logits.FillWhere(targets.Reports(_logits.shape[1]), Never);
    }

    static Tensor Wide(Tensor values) => values.to(ScalarType.Float64);
}
