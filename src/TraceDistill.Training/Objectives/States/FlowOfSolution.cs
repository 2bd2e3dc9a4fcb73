using System.ComponentModel;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// T = trained tokens of a sequence, D = hidden of the teacher

/// <summary>
/// Flow of solution procedure (FSP, Yim et al., CVPR 2017, equations 1 and 2): mean squared distance of the matrices G = FᵀF′ / T that
/// relate the states of one layer to those of the next that is compared, for each sequence and each two neighbouring pairs of layers. Where
/// the hidden sizes differ, a learned projection takes the student's states to the teacher's size.
/// </summary>
public sealed record FlowOfSolution : StateObjective
{
    /// <value>even.</value>
    [Description(
        "Layers related, at least two: even, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; even unless given"
    )]
    public override LayerMap Layers { get; init; } = LayerMap.Even;

    /// <summary>States are scaled to a root mean square of 1, as <see cref="HiddenStates.Normalize"/> has it.</summary>
    /// <value>False.</value>
    [Description("Scale states to one length before layers are related, so that the weight does not depend on the models' sizes")]
    public bool Normalize { get; init; }

    public override string Name => "fsp";

    public override StateKind Kind => StateKind.Hidden;

    protected override string? Refuses(ModelConfiguration student, ModelConfiguration teacher) =>
        Pairs(student, teacher).Count < 2 ? "it relates layers to each other: name at least two" : null;

    public override IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher) =>
        student.HiddenSize == teacher.HiddenSize
            ? []
            :
            [
                .. Pairs(student, teacher)
                    .Select(pair => AuxiliaryWeight.Projection(At(pair.Student), student.HiddenSize, teacher.HiddenSize))
                    .DistinctBy(weight => weight.Name),
            ];

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        Tensor[] own = [.. pairs.Select(pair => Scaled(Projected(states, pair.Student)))],
            taught = [.. pairs.Select(pair => Scaled(states.Teacher(pair.Teacher)))];
        return stack([.. Enumerable.Range(0, pairs.Count - 1).Select(Between)]).mean();

        Tensor Scaled(Tensor rows) => Normalize ? AtUnitScale(rows) : rows;

        Tensor Between(int layer) =>
            Flows(states, own[layer], own[layer + 1])
                .Zip(Flows(states, taught[layer], taught[layer + 1]), (a, b) => (a.Matrix - b.Matrix).Squared().mean().Times(a.Tokens))
                .Aggregate((a, b) => a.Plus(b));
    }

    static IEnumerable<(Tensor Matrix, long Tokens)> Flows(StatePair states, Tensor from, Tensor to) =>
        states.BySequence(from).Zip(states.BySequence(to), (a, b) => (a.t().matmul(b).Times(1.0 / a.shape[0]), a.shape[0]));

    static Tensor Projected(StatePair states, int layer) =>
        states.Find(At(layer)) is { } projection ? states.Student(layer).matmul(projection.t()) : states.Student(layer);
}
