using System.ComponentModel;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// M = trained tokens, D = hidden

/// <summary>How far apart two hidden states are.</summary>
public enum StateDistance
{
    /// <summary>Mean of the squared differences over channels.</summary>
    Mse,

    /// <summary>1 − the cosine of the angle between them.</summary>
    Cosine,

    /// <summary>1 − linear centred kernel alignment over the tokens of a micro-batch, whatever the sizes are.</summary>
    Cka,
}

/// <summary>Ways from the student's hidden size to the teacher's.</summary>
public enum StateProjection
{
    /// <summary>None: both have the same size.</summary>
    None,

    /// <summary>A matrix for each layer, trained with the student and left behind.</summary>
    Linear,
}

/// <summary>
/// Distance of hidden states, the mean over the pairs of layers: mean squared (FitNets, Romero et al., arXiv 1412.6550; TinyBERT, Jiao et
/// al., arXiv 1909.10351, equation 8), cosine (DistilBERT, Sanh et al., arXiv 1910.01108, section 3), or 1 − CKA (Kornblith et al.,
/// arXiv 1905.00414, equation 3): ‖YᵀX‖² / (‖XᵀX‖ · ‖YᵀY‖) of centred X and Y, Frobenius norms.
/// </summary>
public sealed record HiddenStates : StateObjective
{
    /// <value>even.</value>
    [Description("Layers compared: even, last, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; even unless given")]
    public override LayerMap Layers { get; init; } = LayerMap.Even;

    /// <value>mse.</value>
    [Description("Distance of two states: mse, cosine, or cka (of all tokens of a micro-batch)")]
    public StateDistance Distance { get; init; }

    /// <value>linear where the hidden sizes differ, none where they do not; cka has none.</value>
    [Description("Projection of the student's states: linear (learned) or none; linear unless given where the hidden sizes differ")]
    public StateProjection? Projection { get; init; }

    /// <summary>
    /// States are scaled to a root mean square of 1, so that the mean over channels is the squared distance of states of length 1 (patient
    /// knowledge distillation, Sun et al., arXiv 1908.09355, equation 7), from 0 to 4 whatever the models' sizes are. A projected state is
    /// scaled after its projection.
    /// </summary>
    /// <value>False.</value>
    [Description("Scale states to one length before mse compares them, so that its weight does not depend on the models' sizes")]
    public bool Normalize { get; init; }

    public override string Name => "hidden_states";

    public override StateKind Kind => StateKind.Hidden;

    public override string? Problem =>
        Distance == StateDistance.Cka && Projection == StateProjection.Linear ? "cka compares sizes that differ; leave projection out"
        : Normalize && Distance != StateDistance.Mse ? "normalize goes with distance: mse; cosine and cka do not go by size"
        : null;

    protected override string? Refuses(ModelConfiguration student, ModelConfiguration teacher) =>
        Projection == StateProjection.None && Distance != StateDistance.Cka && student.HiddenSize != teacher.HiddenSize
            ? $"hidden sizes are {student.HiddenSize} and {teacher.HiddenSize}: take projection: linear, or distance: cka"
            : null;

    public override IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher)
    {
        var isProjected =
            Distance != StateDistance.Cka
            && (Projection ?? (student.HiddenSize == teacher.HiddenSize ? StateProjection.None : StateProjection.Linear))
                == StateProjection.Linear;
        return isProjected
            ?
            [
                .. Pairs(student, teacher)
                    .Select(pair => AuxiliaryWeight.Projection(At(pair.Student), student.HiddenSize, teacher.HiddenSize))
                    .DistinctBy(weight => weight.Name),
            ]
            : [];
    }

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        return stack([.. pairs.Select(pair => Between(states, pair.Student, pair.Teacher))]).mean();
    }

    Tensor Between(StatePair states, int student, int teacher)
    {
        var (own, taught) = (states.Student(student), states.Teacher(teacher)); // [M, D]
        own = states.Find(At(student)) is { } projection ? own.matmul(projection.t()) : own;
        (own, taught) = Normalize ? (AtUnitScale(own), AtUnitScale(taught)) : (own, taught);
        return Distance switch
        {
            StateDistance.Mse => (own - taught).Squared().mean([1L]).sum(),
            StateDistance.Cosine => nn.functional.cosine_similarity(own, taught, 1, 1e-8).neg().Plus(1).sum(),
            _ => Alignment(own, taught).neg().Plus(1).Times(states.Tokens),
        };
    }

    /// <summary>Linear CKA.</summary>
    static Tensor Alignment(Tensor x, Tensor y)
    {
        const double Least = 1e-12; // where all tokens have one state
        var (a, b) = (x - x.mean([0L]), y - y.mean([0L]));
        var norms = a.t().matmul(a).norm() * b.t().matmul(b).norm();
        return b.t().matmul(a).Squared().sum() / norms.AtLeast(Least);
    }
}
