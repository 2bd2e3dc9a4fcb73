using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// S = sequences, E = size

/// <summary>
/// Contrastive representation distillation (CRD, Tian et al., arXiv 1910.10699) between sequences: both models' means over a sequence's
/// trained tokens are projected to one size and to length 1, and each side's is to be closest to the other's of the same sequence. The
/// other sequences of the micro-batch are the negatives, by InfoNCE (van den Oord et al., arXiv 1807.03748, equation 4) in both directions
/// in place of a memory bank; a micro-batch of one sequence has none.
/// </summary>
public sealed record Contrastive : StateObjective
{
    const string OfStudent = "student",
        OfTeacher = "teacher";

    /// <value>last.</value>
    [Description("Layers compared: even, last, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; last unless given")]
    public override LayerMap Layers { get; init; } = LayerMap.Last;

    /// <value>128.</value>
    [Range(1, 65_536, ErrorMessage = "must be from 1 to 65536")]
    [Description("Channels that both sides are projected to")]
    public int Size { get; init; } = 128;

    /// <value>0.1.</value>
    [Range(1e-3, 1e3, ErrorMessage = "must be from 0.001 to 1000")]
    [Description("Temperature of the similarities")]
    public double Temperature { get; init; } = 0.1;

    public override string Name => "crd";

    public override StateKind Kind => StateKind.Hidden;

    public override int LeastSequences => 2;

    public override IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher) =>
        [
            .. Pairs(student, teacher)
                .SelectMany(
                    (_, index) =>
                        new[]
                        {
                            AuxiliaryWeight.Projection(Key(OfStudent, index), student.HiddenSize, Size),
                            AuxiliaryWeight.Projection(Key(OfTeacher, index), teacher.HiddenSize, Size),
                        }
                ),
        ];

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        return stack([.. pairs.Select((pair, index) => Between(states, pair.Student, pair.Teacher, index))]).mean().Times(states.Tokens);
    }

    Tensor Between(StatePair states, int student, int teacher, int index)
    {
        var own = Embedded(states.Student(student), Key(OfStudent, index)); // [S, E]
        var taught = Embedded(states.Teacher(teacher), Key(OfTeacher, index));
        var similarity = own.matmul(taught.t()).Times(1 / Temperature); // [S, S]
        return similarity.log_softmax(0).diagonal().mean().Plus(similarity.log_softmax(1).diagonal().mean()).Times(-0.5);

        Tensor Embedded(Tensor rows, string key)
        {
            var projected = states.Pool(rows).matmul(states.Own(key).t());
            return projected / projected.Squared().sum([1L], keepdim: true).AtLeast(1e-12).sqrt();
        }
    }

    static string Key(string side, int index) => FormattableString.Invariant($"{side}.{index}");
}
