using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

/// <summary>KL(q ‖ p) = Σ q (log q − log p) (MiniLLM, arXiv 2306.08543): the student keeps to what the teacher says.</summary>
public sealed record KlReverse : Divergence
{
    public override string Name => "kl_reverse";

    public override string? Refuses(MissingMass policy) => ReverseReason(policy);

    /// <summary>Why a divergence that weighs by the student's probability needs an outcome for all that the teacher left out.</summary>
    internal static string? ReverseReason(MissingMass policy) =>
        policy switch
        {
            MissingMass.Renormalize => "it weighs by the student's probability, which escapes outside of the top k",
            MissingMass.ResidualToLabel or MissingMass.Truncate =>
                "it is infinite wherever the student may say what the teacher has no probability for",
            _ => null,
        };

    protected override Tensor Between(Outcomes outcomes, TrainingPoint at) => Reverse(outcomes);
}
