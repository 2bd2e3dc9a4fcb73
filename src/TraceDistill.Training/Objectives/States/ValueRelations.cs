using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

// A = relation heads, R = trained tokens of a sequence, T = its tokens, c = channels of a relation head

/// <summary>
/// KL(teacher ‖ student) of the relations among values, softmax(V·Vᵀ / √c), of which a token has those to itself and to the tokens before
/// it (MiniLM, Wang et al., arXiv 2002.10957, equation 5; with relation heads of one number on both sides, as MiniLMv2, arXiv 2012.15828,
/// section 3.1): the mean over relation heads and pairs of layers, at each trained token.
/// </summary>
public sealed record ValueRelations : StateObjective
{
    /// <value>last.</value>
    [Description("Layers compared: even, last, last:K, or pairs of student:teacher layers from 0 such as 0:1, 2:5; last unless given")]
    public override LayerMap Layers { get; init; } = LayerMap.Last;

    /// <value>The student's key and value heads.</value>
    [Range(1, 1024, ErrorMessage = "must be from 1 to 1024")]
    [Description("Heads that the values of each side are cut into; the student's key and value heads unless given")]
    public int? RelationHeads { get; init; }

    /// <value>uniform.</value>
    [Description("Weight of each relation head: uniform, learned (by uncertainty) or gradient (all heads' gradients of one size)")]
    public HeadWeights HeadWeights { get; init; }

    public override string Name => "value_relations";

    public override StateKind Kind => StateKind.Values;

    protected override string? Refuses(ModelConfiguration student, ModelConfiguration teacher)
    {
        var heads = HeadsOf(student);
        return student.KeyValueSize % heads == 0 && teacher.KeyValueSize % heads == 0
            ? null
            : $"values of {student.KeyValueSize} and {teacher.KeyValueSize} channels cannot be cut into {heads} relation_heads: "
                + "give a number that divides both";
    }

    public override IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher) =>
        HeadBalance.Weights(HeadWeights, Pairs(student, teacher).Count, HeadsOf(student));

    public override Tensor Loss(StatePair states, TrainingPoint at)
    {
        var pairs = Pairs(states.Shapes.Student, states.Shapes.Teacher);
        return stack([.. pairs.Select((pair, index) => Between(states, pair.Student, pair.Teacher, index))]).mean();
    }

    int HeadsOf(ModelConfiguration student) => RelationHeads ?? student.NumKeyValueHeads;

    Tensor Between(StatePair states, int student, int teacher, int index)
    {
        var heads = HeadsOf(states.Shapes.Student);
        var (scores, sums) = (new List<Tensor>(), new List<Tensor>());
        foreach (var (own, taught, rows) in states.Values(student, teacher))
        {
            scores.Add(Scores(own, rows, heads));
            sums.Add(Divergence(Scores(taught, rows, heads).log_softmax(-1), scores[^1].log_softmax(-1)));
        }

        return HeadBalance.Mean(HeadWeights, sums.Aggregate((a, b) => a.Plus(b)), scores, states, index);
    }

    /// <returns>[A] KL(teacher ‖ student) summed over trained tokens.</returns>
    static Tensor Divergence(Tensor taught, Tensor own)
    {
        var seen = taught.exp();
        var difference = (taught - own).ZeroWhere(seen.IsZero()); // of what a token does not look at nothing is compared
        return (seen * difference).sum([1L, 2L]);
    }

    /// <summary>Logarithms of the relations, up to a constant of each token.</summary>
    /// <param name="values">[T, A·c].</param>
    /// <param name="rows">[R].</param>
    /// <param name="heads">A.</param>
    /// <returns>[A, R, T].</returns>
    static Tensor Scores(Tensor values, Tensor rows, int heads)
    {
        var split = values.unflatten(1, heads, values.shape[1] / heads).transpose(0, 1); // [A, T, c]
        var scores = split.index_select(1, rows).matmul(split.transpose(1, 2)).Times(1 / Math.Sqrt(split.shape[2]));
        using var places = tensor([.. Enumerable.Range(0, (int)values.shape[0]).Select(token => (long)token)], device: values.device);
        return scores.FillWhere(places.unsqueeze(0).gt(rows.unsqueeze(1)), Unseen);
    }

    /// <summary>Low enough for a probability of 0, and finite, so that no gradient is NaN.</summary>
    const double Unseen = -1e30;
}
