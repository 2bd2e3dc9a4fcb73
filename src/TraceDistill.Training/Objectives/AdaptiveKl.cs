using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, O = outcomes

/// <summary>
/// Adaptive KL (Wu et al., "Rethinking Kullback–Leibler Divergence in Knowledge Distillation for Large Language Models", arXiv
/// 2404.02657, section 4.3): g_head / g · KL(p ‖ q) + g_tail / g · KL(q ‖ p), where g_head is Σ |p − q| over the teacher's most probable
/// outcomes up to a mass of μ, g_tail over the others, and g both. The weights have no gradient.
/// </summary>
/// <remarks>All tokens that are not reported, as one outcome, are part of the tail, however probable.</remarks>
public sealed record AdaptiveKl : Divergence
{
    /// <summary>Outcomes that the head is looked for among at first.</summary>
    const int FirstLook = 64;

    /// <value>0.5.</value>
    [Range(0.01, 0.99, ErrorMessage = "must be from 0.01 to 0.99")]
    [Description("Probability of the teacher that its head has")]
    public double Mu { get; init; } = 0.5;

    public override string Name => "adaptive_kl";

    public override string? Refuses(MissingMass policy) =>
        policy == MissingMass.UniformTail
            ? "tokens that share the missing mass evenly have no order by which some are the head"
            : KlReverse.ReverseReason(policy);

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at)
    {
        Tensor share;
        using (no_grad())
        {
            var gap = (outcomes.Teacher - outcomes.Student).abs(); // [R, O]
            var head = (gap * IsHead(outcomes)).sum(1);
            var all = gap.sum(1);
            share = (head / all).FillWhere(all.IsBelow(1e-12), 0.5); // [R]; where both are equal so are the divergences
        }

        return share * Forward(outcomes) + (share.Times(-1).Plus(1) * Reverse(outcomes));
    }

    /// <returns>[R, O] 1 for outcomes before which less than μ has been found, the most probable first; else 0.</returns>
    Tensor IsHead(Outcomes outcomes)
    {
        var p = outcomes.Teacher;
        var tokens = outcomes.HasTail ? p.narrow(1, 0, p.shape[1] - 1) : p;
        for (var look = Math.Min(FirstLook, tokens.shape[1]); ; look = Math.Min(look * 8, tokens.shape[1]))
        {
            var (values, places) = tokens.topk((int)look, 1);
            var before = values.cumsum(1) - values; // [R, look]
            var isHead = before.IsBelow(Mu);
            if (look == tokens.shape[1] || !isHead.select(1, look - 1).any().item<bool>())
            {
                return zeros_like(p).scatter_(1, places, isHead.to(p.dtype));
            }
        }
    }
}
