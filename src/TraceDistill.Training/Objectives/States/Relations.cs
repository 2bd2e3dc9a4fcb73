using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// M = trained tokens, S = samples, D = hidden

/// <summary>
/// Relational knowledge distillation (RKD, Park et al., arXiv 1904.05068, equations 5 to 9): Huber losses between the distances of all
/// pairs of samples, each over their mean, and between the cosines of the angles of all triples. A sample is a sequence: the mean of its
/// trained tokens' states. A micro-batch of one sequence has no relations.
/// </summary>
public sealed record Relations : StateObjective
{
    /// <value>last.</value>
    [Description("Layers compared: even, last, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; last unless given")]
    public override LayerMap Layers { get; init; } = LayerMap.Last;

    /// <value>1.</value>
    [Range(0.0, double.MaxValue, ErrorMessage = "must be at least 0")]
    [Description("Weight of the distances between samples")]
    public double DistanceWeight { get; init; } = 1;

    /// <value>2.</value>
    [Range(0.0, double.MaxValue, ErrorMessage = "must be at least 0")]
    [Description("Weight of the angles between samples")]
    public double AngleWeight { get; init; } = 2;

    public override string Name => "rkd";

    public override StateKind Kind => StateKind.Hidden;

    public override int LeastSequences => DistanceWeight > 0 ? 2 : 3;

    public override string? Problem => DistanceWeight + AngleWeight > 0 ? null : "distance_weight and angle_weight are both 0";

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        return stack([
                .. pairs.Select(pair => Between(states.Pool(states.Student(pair.Student)), states.Pool(states.Teacher(pair.Teacher)))),
            ])
            .mean()
            .Times(states.Tokens);
    }

    Tensor Between(Tensor own, Tensor taught)
    {
        var samples = own.shape[0];
        var loss = zeros([], dtype: own.dtype, device: own.device);
        if (samples > 1)
        {
            loss = loss.Plus(Mean(Distances(own), Distances(taught), samples * (samples - 1)).Times(DistanceWeight));
        }

        return samples > 2
            ? loss.Plus(Mean(Angles(own), Angles(taught), samples * (samples - 1) * (samples - 2)).Times(AngleWeight))
            : loss;

        // What relates a sample to itself is 0 on both sides.
        static Tensor Mean(Tensor a, Tensor b, long relations) =>
            nn.functional.huber_loss(a, b, reduction: nn.Reduction.Sum).Times(1.0 / relations);
    }

    /// <returns>[S, S], of a mean of 1 over different samples.</returns>
    static Tensor Distances(Tensor samples)
    {
        var (lengths, isSame) = (Lengths(samples.unsqueeze(0) - samples.unsqueeze(1)), Same(samples));
        var distances = lengths.squeeze(2).ZeroWhere(isSame);
        return distances / (distances.sum().Times(1.0 / (samples.shape[0] * (samples.shape[0] - 1))).AtLeast(Least));
    }

    /// <returns>[S, S, S]: the cosine at the sample that the first index has, between those of the others.</returns>
    static Tensor Angles(Tensor samples)
    {
        var sides = samples.unsqueeze(0) - samples.unsqueeze(1); // [S, S, D] from the first index to the second
        var unit = sides / Lengths(sides);
        var isSame = Same(samples);
        return unit.matmul(unit.transpose(1, 2))
            .ZeroWhere(isSame.unsqueeze(0).logical_or(isSame.unsqueeze(1)).logical_or(isSame.unsqueeze(2)));
    }

    static Tensor Lengths(Tensor sides) => sides.Squared().sum([-1L], keepdim: true).AtLeast(Least).sqrt();

    static Tensor Same(Tensor samples) => eye(samples.shape[0], dtype: ScalarType.Bool, device: samples.device);

    /// <summary>Of a squared length, whose root has no slope at 0.</summary>
    const double Least = 1e-12;
}
