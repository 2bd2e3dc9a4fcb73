using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

// M = items (texts or tokens), L = labels

/// <summary>
/// The loss of labels: (1 − α) · H(p, q) + α · T² · KL(t_T ‖ q_T), where p are the labels of the data, smoothed to (1 − ε) · p + ε / L
/// (Szegedy et al., arXiv 1512.00567, section 7), t those of a teacher and q the student's, and the index T stands for logits divided
/// by T (Hinton et al., arXiv 1503.02531). An item that has labels of one kind alone counts whole by that one.
/// </summary>
static class LabelLoss
{
    /// <summary>Sums over the items of one task.</summary>
    /// <param name="logits">[M, L] of the student.</param>
    /// <param name="given">[M, L] probabilities; rows of zeros where they are not known.</param>
    /// <param name="taught">[M, L] log-probabilities at T = 1; null where no teacher labels any.</param>
    /// <param name="isGiven">[M] 1 where the labels are known, else 0.</param>
    /// <param name="isTaught">[M] 1 where a teacher labels the item, else 0.</param>
    /// <param name="alpha">α.</param>
    /// <param name="temperature">T.</param>
    /// <param name="smoothing">ε.</param>
    /// <returns>The loss, to be differentiated; H and T² · KL by themselves without their weights.</returns>
    public static (Tensor Loss, double Hard, double Soft) Of(
        Tensor logits,
        Tensor given,
        Tensor? taught,
        Tensor isGiven,
        Tensor isTaught,
        double alpha,
        double temperature,
        double smoothing
    )
    {
        var smooth = smoothing > 0 ? given.Times(1 - smoothing).Plus(isGiven.unsqueeze(1).Times(smoothing / logits.shape[1])) : given;
        var hard = nn.functional.log_softmax(logits, 1).mul(smooth).sum(1).neg(); // [M]
        if (taught is null)
        {
            return (hard.mul(isGiven).sum(), Sum(hard), 0);
        }

        var soft = Divergence(logits, taught, temperature).mul(isTaught); // [M]
        // Without the other kind, an item's weight is whole.
        var softShare = isTaught.Times(alpha).mul(isGiven).Plus(isTaught.mul(isGiven.neg().Plus(1)));
        var hardShare = isGiven.mul(softShare.neg().Plus(1));
        return (hard.mul(hardShare).Plus(soft.mul(softShare)).sum(), Sum(hard), Sum(soft));
    }

    /// <returns>[M] T² · KL(t_T ‖ q_T).</returns>
    static Tensor Divergence(Tensor logits, Tensor taught, double temperature)
    {
        var teacher = nn.functional.log_softmax(taught.Times(1 / temperature), 1);
        var student = nn.functional.log_softmax(logits.Times(1 / temperature), 1);
        return teacher.exp().mul(teacher.sub(student)).sum(1).Times(temperature * temperature);
    }

    static double Sum(Tensor values)
    {
        using var noGrad = no_grad();
        return values.detach().sum(ScalarType.Float64).cpu().item<double>();
    }
}
