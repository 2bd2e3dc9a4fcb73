using System.ComponentModel;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// H = the student's heads, R = trained tokens of a sequence, T = its tokens

/// <summary>How far apart two attention maps are.</summary>
public enum MapDistance
{
    /// <summary>KL(teacher ‖ student) of how a token attends.</summary>
    Kl,

    /// <summary>Sum of the squared differences over the tokens attended to.</summary>
    Mse,
}

/// <summary>
/// Distance of attention maps (Zagoruyko and Komodakis, arXiv 1612.03928; of transformers TinyBERT, arXiv 1909.10351, equation 7, and
/// MiniLM, Wang et al., arXiv 2002.10957, equation 4): at each trained token the mean over heads and over pairs of layers.
/// </summary>
/// <remarks>
/// Where the teacher has a multiple of the student's heads, each of the student's is compared with the mean of as many of the teacher's.
/// </remarks>
public sealed record AttentionMaps : StateObjective
{
    /// <value>even.</value>
    [Description("Layers compared: even, last, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; even unless given")]
    public override LayerMap Layers { get; init; } = LayerMap.Even;

    /// <value>kl.</value>
    [Description("Distance of two maps: kl or mse")]
    public MapDistance Distance { get; init; }

    /// <value>uniform.</value>
    [Description("Weight of each head: uniform, learned (by uncertainty) or gradient (all heads' gradients of one size)")]
    public HeadWeights HeadWeights { get; init; }

    public override string Name => "attention_maps";

    public override StateKind Kind => StateKind.AttentionMaps;

    protected override string? Refuses(ModelConfiguration student, ModelConfiguration teacher) =>
        teacher.NumAttentionHeads % student.NumAttentionHeads != 0
            ? $"the teacher's {teacher.NumAttentionHeads} heads are no multiple of the student's {student.NumAttentionHeads}: "
                + "take value_relations, which have heads of their own"
            : null;

    public override IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher) =>
        HeadBalance.Weights(HeadWeights, Pairs(student, teacher).Count, student.NumAttentionHeads);

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        return stack([.. pairs.Select((pair, index) => Between(states, pair.Student, pair.Teacher, index))]).mean();
    }

    Tensor Between(StatePair states, int student, int teacher, int index)
    {
        Tensor[] maps = [.. states.StudentMaps(student)];
        var heads = maps[0].shape[0];
        // [H] summed over trained tokens
        var each = maps.Zip(states.TeacherMaps(teacher), (own, taught) => ByHead(own, Grouped(taught, heads)))
            .Aggregate((a, b) => a.Plus(b));
        return HeadBalance.Mean(HeadWeights, each, maps, states, index);
    }

    Tensor ByHead(Tensor own, Tensor taught)
    {
        const double Least = 1e-30; // what a token does not see has a weight of 0 on both sides
        return Distance == MapDistance.Mse
            ? (own - taught).Squared().sum([1L, 2L])
            : (taught * (taught.AtLeast(Least).log() - own.AtLeast(Least).log())).sum([1L, 2L]);
    }

    /// <returns>[H, R, T].</returns>
    static Tensor Grouped(Tensor taught, long heads) =>
        taught.shape[0] == heads ? taught : taught.unflatten(0, heads, taught.shape[0] / heads).mean([1L]);
}
