using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, M = teachers, O = outcomes, y = the drawn token, w = weights of the teachers at a token

/// <summary>One distribution of what several teachers say, with weights at each token.</summary>
public sealed class TeacherMixture
{
    readonly PanelRows _rows;
    readonly TeacherAverage _average;

    /// <param name="rows">What the teachers say.</param>
    /// <param name="average">How it becomes one.</param>
    /// <param name="rule">What decides the weights.</param>
    /// <param name="scores">[R, M] of float64: a, where a gate has learned them; null for 0.</param>
    public TeacherMixture(PanelRows rows, TeacherAverage average, TeacherWeights rule, Tensor? scores = null)
    {
        using var noGrad = no_grad();
        (_rows, _average) = (rows, average);
        var factors = rule switch
        {
            TeacherWeights.Confidence => Confidence(rows),
            TeacherWeights.Entropy => Entropy(rows).neg(),
            _ => scores ?? zeros_like(rows.Weights),
        };
        var log = rows.Weights.log().Plus(factors); // [R, M]
        // Where no teacher says anything, the first one's filling is as good as any.
        var isDead = rows.HasSoft.IsZero().unsqueeze(1);
        var first = Arithmetic.Range(rows.Weights.shape[1], log.device).IsZero().unsqueeze(0); // [1, M]
        LogWeights = log.NegativeInfinityWhere(isDead).FillWhere(isDead.logical_and(first), 0).log_softmax(1);
        LogProbabilities = average == TeacherAverage.Probability ? Mean() : Geometric();
    }

    /// <summary>[R, M] of float64: log w, −∞ for a teacher that says nothing.</summary>
    public Tensor LogWeights { get; }

    /// <summary>[R, O] the distribution, in the precision of the teachers'.</summary>
    public Tensor LogProbabilities { get; }

    /// <returns>[R, M] of float64: log-probability of each teacher's most probable token, at least that of 10⁻⁸.</returns>
    public static Tensor Confidence(PanelRows rows) => Each(rows, row => Reported(rows, row).amax([1])).AtLeast(LeastLogProbability);

    /// <returns>[R, M] of float64: −Σ p log p of each teacher, in nats, over the outcomes.</returns>
    public static Tensor Entropy(PanelRows rows) => Each(rows, row => (row.exp() * Finite(row)).sum(1).neg());

    /// <summary>
    /// −log of the probability that the distribution gives the drawn token, and its gradient by a: what a gate is to make small. It is that
    /// of experts of which a gate chooses (Jacobs et al. 1991, Neural Computation 3(1), equation 1.3 for Σ w p).
    /// </summary>
    /// <param name="drawn">[R, 1] of int64: y; where no teacher reported it, it is one of all others.</param>
    /// <returns>[R] and [R, M] of float64, 0 where no teacher says anything. A zero counts as 10⁻⁸ where its logarithm is wanted.</returns>
    public (Tensor Loss, Tensor Slopes) Surprise(Tensor drawn)
    {
        using var noGrad = no_grad();
        var at = Outcome(drawn); // [R, 1]
        var said = Each(_rows, row => row.gather(1, at).squeeze(1)); // [R, M] log p(y)
        var weights = LogWeights.exp();
        Tensor loss,
            slopes;
        if (_average == TeacherAverage.Probability)
        {
            var joint = LogWeights.Plus(said);
            loss = joint.logsumexp(1).AtLeast(LeastLogProbability).neg();
            slopes = (weights - joint.softmax(1)).ZeroWhere(joint.isneginf().all(1, keepdim: true));
        }
        else
        {
            // L = log Σ e^(Σ w log p) − Σ w log p(y): by w it is the distribution's mean of log p less that of y.
            said = Finite(said);
            var mean = Each(_rows, row => (LogProbabilities.exp() * Finite(row)).sum(1)); // [R, M]
            var byWeight = mean - said;
            loss = LogPartition() - (weights * said).sum(1);
            slopes = weights * (byWeight - (weights * byWeight).sum(1, keepdim: true));
        }

        return (loss * _rows.HasSoft, slopes * _rows.HasSoft.unsqueeze(1));
    }

    static double LeastLogProbability { get; } = Math.Log(Outcomes.LeastProbability);

    /// <returns>[R, M] of float64: a number of each teacher's row.</returns>
    static Tensor Each(PanelRows rows, Func<Tensor, Tensor> number) =>
        stack([.. rows.LogProbabilities.Select(row => number(row).to(ScalarType.Float64))], 1);

    /// <summary>Log-probabilities of single tokens: all but those of all others together.</summary>
    static Tensor Reported(PanelRows rows, Tensor row) => rows.Ids is null ? row : row.narrow(1, 0, row.shape[1] - 1);

    /// <summary>log p, that of 10⁻⁸ where p is 0: as <see cref="Outcomes"/> has it where a logarithm is wanted.</summary>
    static Tensor Finite(Tensor row) => row.FillWhere(row.isneginf(), LeastLogProbability);

    Tensor Weight(int teacher, Tensor row) => LogWeights.narrow(1, teacher, 1).to(row.dtype); // [R, 1]

    Tensor Mean()
    {
        Tensor? sum = null;
        foreach (var (teacher, row) in _rows.LogProbabilities.Index())
        {
            var part = row.Plus(Weight(teacher, row));
            sum = sum is null ? part : sum.logaddexp(part);
        }

        return sum!.log_softmax(1);
    }

    Tensor Geometric() => Powers().log_softmax(1);

    /// <returns>[R] of float64: log Σ e^(Σ w log p).</returns>
    Tensor LogPartition() => Powers().to(ScalarType.Float64).logsumexp(1);

    /// <returns>[R, O] Σ w log p; −∞ where no teacher of a weight has a probability.</returns>
    Tensor Powers()
    {
        Tensor? sum = null,
            isZero = null;
        foreach (var (teacher, row) in _rows.LogProbabilities.Index())
        {
            var weight = Weight(teacher, row);
            var (part, isNone) = (weight.exp() * Finite(row), row.Plus(weight).isneginf());
            (sum, isZero) = (sum is null ? part : sum.Plus(part), isZero is null ? isNone : isZero.logical_and(isNone));
        }

        return sum!.NegativeInfinityWhere(isZero!);
    }

    /// <returns>[R, 1] of int64: the place of the drawn token among the outcomes.</returns>
    Tensor Outcome(Tensor drawn)
    {
        if (_rows.Ids is not { } ids)
        {
            return drawn;
        }

        var isDrawn = ids.eq(drawn).logical_and(_rows.IsPresent!); // [R, N]
        var others = tensor([ids.shape[1]], device: drawn.device).expand_as(drawn);
        return isDrawn.to(ScalarType.Int64).argmax(1, keepdim: true).where(isDrawn.any(1, keepdim: true), others);
    }
}
