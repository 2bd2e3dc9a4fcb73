using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, N = ranked tokens

/// <summary>
/// ListMLE (Xia et al., "Listwise Approach to Learning to Rank", ICML 2008): −Σᵢ log (qᵢ / Σ_{j ≥ i} qⱼ) over the teacher's most probable
/// tokens in their order, where j goes over those that come after i, and all other tokens behind them: the likelihood of the teacher's
/// order under the student, its probabilities left aside.
/// </summary>
public sealed record ListwiseRanking : TokenObjective
{
    /// <value>20.</value>
    [Range(1, 1_000, ErrorMessage = "must be from 1 to 1000")]
    [Description("Ranked tokens, the teacher's most probable ones")]
    public int Top { get; init; } = 20;

    public override string Name => "listwise_ranking";

    public override bool NeedsSoftTargets => true;

    public override string? Refuses(MissingMass policy) =>
        policy switch
        {
            MissingMass.UniformTail => "tokens that share the missing mass evenly have no order",
            MissingMass.ResidualToLabel => "the missing mass would decide the drawn token's rank",
            _ => null,
        };

    public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
    {
        var outcomes = Outcomes.Of(student, targets, Distributions.Temperature.One);
        var ranked = outcomes.LogTeacher.shape[1] - (outcomes.HasTail ? 1 : 0);
        Tensor order,
            others;
        using (no_grad())
        {
            // Filling comes last; a token of probability 0 is ranked as any other.
            var scores = outcomes.Normalize(outcomes.LogTeacher).narrow(1, 0, ranked);
            (_, order) = scores.topk((int)Math.Min(Top, ranked), 1); // [R, N]
            others = ones_like(outcomes.LogStudent, dtype: ScalarType.Bool).scatter_(1, order, zeros_like(order, dtype: ScalarType.Bool));
        }

        // Where the k are taken by themselves nothing comes after the last.
        var present = outcomes.Normalize(outcomes.LogStudent);
        var rest = present.FillWhere(~others, Outcomes.Never).logsumexp(1, keepdim: true); // [R, 1]
        var chosen = present.gather(1, order); // [R, N]
        var after = cat([chosen, rest], 1).flip(1).logcumsumexp(1).flip(1).narrow(1, 0, chosen.shape[1]);
        return (after - chosen).ZeroWhere(chosen.IsBelow(Outcomes.Never / 2)).sum(1);
    }
}
