using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// M = trained tokens, D = hidden of the teacher, F = size

/// <summary>
/// A discriminator learns to tell the teacher's hidden states from the student's, and the student to be taken for the teacher (adversarial
/// feature matching, as Wang et al., "KDGAN", NeurIPS 2018, and Chung et al., arXiv 2002.01775): the mean of two binary cross entropies,
/// whose gradient is reversed on its way to the student (Ganin et al., arXiv 1505.07818, equation 13). At ln 2 the discriminator cannot
/// tell.
/// </summary>
/// <remarks>
/// States are scaled to a root mean square of 1 first. The discriminator has one hidden layer of SiLU; where the hidden sizes differ, the
/// student's side has a projection that learns with the student, against it.
/// </remarks>
public sealed record Adversarial : StateObjective
{
    const string Inner = "inner",
        InnerBias = "inner_bias",
        Outer = "outer",
        OuterBias = "outer_bias",
        Projection = "projection";

    /// <value>last.</value>
    [Description("Layers compared: even, last, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; last unless given")]
    public override LayerMap Layers { get; init; } = LayerMap.Last;

    /// <value>64.</value>
    [Range(1, 65_536, ErrorMessage = "must be from 1 to 65536")]
    [Description("Channels of the discriminator's hidden layer")]
    public int Size { get; init; } = 64;

    public override string Name => "adversarial";

    public override StateKind Kind => StateKind.Hidden;

    public override IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher) =>
        [.. Pairs(student, teacher).SelectMany((_, index) => WeightsOf(student.HiddenSize, teacher.HiddenSize, index))];

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        return stack([.. pairs.Select((pair, index) => Between(states, pair.Student, pair.Teacher, index))]).mean();
    }

    IEnumerable<AuxiliaryWeight> WeightsOf(long student, long teacher, int index)
    {
        yield return AuxiliaryWeight.Projection(Key(Inner, index), teacher, Size);
        yield return new AuxiliaryWeight(Key(InnerBias, index), [Size], 0);
        yield return AuxiliaryWeight.Projection(Key(Outer, index), Size, 1);
        yield return new AuxiliaryWeight(Key(OuterBias, index), [1], 0);
        if (student != teacher)
        {
            yield return AuxiliaryWeight.Projection(Key(Projection, index), student, teacher);
        }
    }

    static Tensor Between(StatePair states, int student, int teacher, int index)
    {
        var own = Scaled(states.Student(student));
        own = states.Find(Key(Projection, index)) is { } projection ? own.matmul(projection.t()) : own;
        // The value of the states, and their gradient with its sign reversed.
        var reversed = own.detach().Times(2) - own;
        var (real, taken) = (Score(Scaled(states.Teacher(teacher))), Score(reversed)); // [M]
        // log σ(D) of the teacher's and log(1 − σ(D)) of the student's.
        return nn.functional.logsigmoid(real).sum().Plus(nn.functional.logsigmoid(taken.neg()).sum()).Times(-0.5);

        Tensor Score(Tensor x)
        {
            var inner = nn.functional.silu(x.matmul(states.Own(Key(Inner, index)).t()).Plus(states.Own(Key(InnerBias, index))));
            return inner.matmul(states.Own(Key(Outer, index)).t()).Plus(states.Own(Key(OuterBias, index))).squeeze(1);
        }
    }

    static Tensor Scaled(Tensor x) => x / x.Squared().mean([1L], keepdim: true).Plus(1e-6).sqrt();

    static string Key(string name, int index) => FormattableString.Invariant($"{name}.{index}");
}
