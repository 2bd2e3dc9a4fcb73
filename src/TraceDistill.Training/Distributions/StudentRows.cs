using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, K = soft targets, V = vocabulary, z = logits

/// <summary>
/// The student's distributions at a chunk of tokens. What an objective takes from here is differentiable, and decides how much is
/// computed.
/// </summary>
public abstract class StudentRows
{
    /// <summary>
    /// [R, K + 1] of float64: log-probabilities of the tokens that the teacher reported, −∞ for filling, and last of all others together.
    /// </summary>
    public abstract Tensor LogProbabilities { get; }

    /// <summary>[R, K] of float64: those of the tokens that the teacher reported alone.</summary>
    public Tensor Reported => LogProbabilities.narrow(1, 0, LogProbabilities.shape[1] - 1);

    /// <summary>[R] of float64: log-probability of all tokens that the teacher did not report.</summary>
    public Tensor Tail => LogProbabilities.select(1, LogProbabilities.shape[1] - 1);

    /// <summary>[R] of float64: log-probability of the drawn token.</summary>
    public abstract Tensor Drawn { get; }

    /// <summary>[R] of float64: log Σ e^z.</summary>
    public abstract Tensor LogPartition { get; }

    /// <summary>[R, V] of float32: all logits; there for objectives that say so in <c>NeedsAllLogits</c>, and dense targets.</summary>
    /// <exception cref="InvalidOperationException">Only some tokens are named.</exception>
    public virtual Tensor AllLogits => throw new InvalidOperationException("an objective that looks at all logits has to say so");

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
            return DrawnLogits().ge(BestLogits());
        }
    }

    /// <summary>The rows of a chunk.</summary>
    /// <param name="logits">[R, V] in float32; used up.</param>
    /// <param name="targets">The tokens that are named.</param>
    /// <param name="needsAllLogits">True where an objective looks at all of them.</param>
    public static StudentRows Of(Tensor logits, TargetRows targets, bool needsAllLogits = false) =>
        needsAllLogits || targets.Dense is not null ? new WholeStudentRows(logits, targets) : new NamedStudentRows(logits, targets);

    /// <summary>The student's largest log-probabilities outside of what the teacher reported, by descending size.</summary>
    /// <param name="count">Number of them; fewer where the vocabulary has no more.</param>
    /// <returns>[R, count] of float64.</returns>
    public abstract Tensor LargestOthers(int count);

    /// <summary>Returns whether no token is likelier than one that the teacher reported.</summary>
    /// <param name="columns">[R, 1] of int64: its place among those that are reported.</param>
    /// <returns>[R] of bool.</returns>
    public Tensor IsBest(Tensor columns)
    {
        using var noGrad = no_grad();
        return ReportedLogits().gather(1, columns).squeeze(1).ge(BestLogits());
    }

    /// <summary>The gradient of all logits, after a backward pass to what was taken from here; in the logits' memory or another.</summary>
    /// <returns>[R, V] in float32.</returns>
    internal abstract Tensor LogitGradient();

    /// <summary>The gradient of all logits of one loss, whose graph stays as it is.</summary>
    /// <returns>[R, V] in float32, in memory of its own.</returns>
    internal abstract Tensor GradientOf(Tensor loss);

    /// <summary>
    /// [R] the largest logits. Compare these, which are float32's own numbers, and not log-probabilities: those of one token differ by
    /// rounding where they are computed in two ways.
    /// </summary>
    protected abstract Tensor BestLogits();

    /// <summary>[R] of float64: logits of the drawn tokens.</summary>
    protected abstract Tensor DrawnLogits();

    /// <summary>[R, K] of float64: logits of the reported tokens.</summary>
    protected abstract Tensor ReportedLogits();
}
