using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, K = soft targets, V = vocabulary, O = outcomes: K, K + 1 with all other tokens as one, or V; T = temperature

/// <summary>
/// What teacher and student are compared on, both normalised over it: the reported tokens, those and one outcome for all others, or the
/// whole vocabulary, as <see cref="MissingMass"/> has it. In float64, but for a whole vocabulary: in float32.
/// </summary>
/// <remarks>
/// Temperature divides logits, and so log-probabilities: p^(1/T), normalised anew. That is exact over a whole vocabulary, and where there
/// are no other outcomes: for <see cref="MissingMass.Renormalize"/>, as conditioning and tempering commute, and for the teacher's side of
/// <see cref="MissingMass.ResidualToLabel"/> and <see cref="MissingMass.Truncate"/>. A tail as one outcome is tempered as if it were one
/// token, on both sides alike: for T ≠ 1 that is an approximation of Σ p^(1/T) over its tokens, which is larger for T above 1.
/// </remarks>
public sealed class Outcomes
{
    /// <summary>
    /// What a teacher's zero counts as where a logarithm of it is wanted, 10⁻⁸: a reported zero is a number that was rounded, and a true
    /// one would make a reverse divergence infinite.
    /// </summary>
    public const double LeastProbability = 1e-8;

    readonly TargetRows _targets;
    readonly Tensor _exactLogTeacher;
    readonly Tensor? _isAbsent;
    Tensor? _teacher,
        _student,
        _isZero,
        _logTeacher;

    Outcomes(TargetRows targets, Tensor logTeacher, Tensor logStudent, bool hasTail, Tensor? isAbsent)
    {
        (_targets, _exactLogTeacher, _isAbsent, HasTail) = (targets, logTeacher, isAbsent, hasTail);
        LogStudent = ZeroAbsent(logStudent);
    }

    /// <summary>True where the last outcome is all tokens that are not reported.</summary>
    public bool HasTail { get; }

    /// <summary>[R, O] p.</summary>
    public Tensor Teacher => _teacher ??= _exactLogTeacher.exp();

    /// <summary>[R, O] log p, that of <see cref="LeastProbability"/> where p is 0; 0 for filling.</summary>
    public Tensor LogTeacher => _logTeacher ??= ZeroAbsent(_exactLogTeacher.FillWhere(IsZero, Math.Log(LeastProbability)));

    /// <summary>[R, O] log q; 0 for filling.</summary>
    public Tensor LogStudent { get; }

    /// <summary>[R, O] q; 0 for filling.</summary>
    public Tensor Student => _student ??= Recorded(() => ZeroAbsent(LogStudent.exp()));

    /// <summary>[R, O] of bool: true where p is 0, for filling too.</summary>
    public Tensor IsZero => _isZero ??= _exactLogTeacher.isneginf();

    /// <summary>[R, O] of bool: true for the drawn token; nowhere in a row whose drawn token is not among the outcomes.</summary>
    public Tensor IsDrawn
    {
        get
        {
            using var noGrad = no_grad();
            if (_targets.Dense is not null)
            {
                return zeros_like(LogStudent, dtype: ScalarType.Bool)
                    .scatter_(1, _targets.Drawn, ones_like(_targets.Drawn, dtype: ScalarType.Bool));
            }

            var named = _targets.Ids.eq(_targets.Drawn).logical_and(_targets.IsPresent); // [R, K]
            return HasTail ? cat([named, zeros(named.shape[0], 1, dtype: ScalarType.Bool, device: named.device)], 1) : named;
        }
    }

    /// <returns>[R] −Σ p log p in nats; no gradient.</returns>
    public Tensor TeacherEntropy()
    {
        using var noGrad = no_grad();
        return (Teacher * LogTeacher).sum(1).neg();
    }

    /// <returns>[R] ½ · Σ |p − q|, from 0 to 1; no gradient.</returns>
    public Tensor Gap()
    {
        using var noGrad = no_grad();
        return (Teacher - Student).abs().sum(1).Times(0.5);
    }

    /// <summary>The outcomes of a chunk.</summary>
    /// <param name="temperature">T, of both.</param>
    public static Outcomes Of(StudentRows student, TargetRows targets, Temperature temperature)
    {
        if (targets.Dense is { } dense)
        {
            return new Outcomes(
                targets,
                temperature.Divide(dense).log_softmax(1),
                temperature.Divide(student.AllLogits).log_softmax(1),
                hasTail: false,
                // Words that a smaller teacher does not have: it has no probability for them, and no order.
                targets.KnownWords == dense.shape[1]
                    ? null
                    : Arithmetic
                        .Range(dense.shape[1], dense.device)
                        .ge(tensor(targets.KnownWords, device: dense.device))
                        .unsqueeze(0)
                        .expand(dense.shape)
            );
        }

        if (targets.AreConditional)
        {
            return new Outcomes(
                targets,
                temperature.Divide(targets.Reported).log_softmax(1),
                temperature.Divide(student.Reported).log_softmax(1),
                hasTail: false,
                targets.IsAbsent.narrow(1, 0, targets.Ids.shape[1])
            );
        }

        // With all outcomes, the student's probabilities are normalised as they are.
        var u = student.LogProbabilities;
        return new Outcomes(
            targets,
            temperature.Divide(targets.LogProbabilities).log_softmax(1),
            temperature.IsOne ? u : temperature.Divide(u).log_softmax(1),
            hasTail: true,
            targets.IsAbsent
        );
    }

    /// <summary>Records the gradient of a kept tensor, whoever asks for it first.</summary>
    Tensor Recorded(Func<Tensor> make)
    {
        using var recorded = enable_grad(LogStudent.requires_grad);
        return make();
    }

    /// <returns>[R, O] with 0 for filling.</returns>
    public Tensor ZeroAbsent(Tensor values) => _isAbsent is null ? values : values.ZeroWhere(_isAbsent);

    /// <returns>[R, O] log-probabilities, normalised over the outcomes; as good as −∞ for filling, with a gradient of 0.</returns>
    /// <param name="logits">[R, O].</param>
    public Tensor Normalize(Tensor logits) => (_isAbsent is null ? logits : logits.FillWhere(_isAbsent, Never)).log_softmax(1);

    /// <summary>Below any log-probability; a true −∞ would have no gradient.</summary>
    public const double Never = -1e30;
}
