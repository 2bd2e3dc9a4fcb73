using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;

namespace TraceDistill.Training;

/// <summary>One objective of a recipe: its name, or a map of its name to its weight or to a map of its settings.</summary>
public sealed record ObjectiveChoice : IParsable<ObjectiveChoice>, IValidatableObject
{
    static readonly PropertyInfo[] All =
    [
        .. typeof(ObjectiveChoice).GetProperties().Where(property => property.PropertyType.IsAssignableTo(typeof(Objective))),
    ];

    [Description("Cross entropy of the drawn tokens, the hard loss")]
    public CrossEntropy? CrossEntropy { get; init; }

    [Description("Cross entropy of the even distribution: label smoothing, with its weight as epsilon")]
    public LabelSmoothing? LabelSmoothing { get; init; }

    [Description("Negative entropy of the student")]
    public EntropyBonus? EntropyBonus { get; init; }

    [Description("Squared logarithm of the sum of exponentials of the logits")]
    public ZLoss? ZLoss { get; init; }

    [Description("KL(teacher, student)")]
    public KlForward? KlForward { get; init; }

    [Description("KL(student, teacher)")]
    public KlReverse? KlReverse { get; init; }

    [Description("Jeffreys divergence: forward and reverse KL together")]
    public Jeffreys? Jeffreys { get; init; }

    [Description("Generalised Jensen-Shannon divergence (GKD)")]
    public JensenShannon? Jsd { get; init; }

    [Description("Skewed forward KL (DistiLLM)")]
    public SkewKlForward? SkewKlForward { get; init; }

    [Description("Skewed reverse KL (DistiLLM)")]
    public SkewKlReverse? SkewKlReverse { get; init; }

    [Description("Alpha-beta divergence (ABKD)")]
    public AlphaBeta? AlphaBeta { get; init; }

    [Description("Total variation distance")]
    public TotalVariation? TotalVariation { get; init; }

    [Description("Adaptive KL (AKL): forward and reverse KL weighted by the gaps of head and tail")]
    public AdaptiveKl? AdaptiveKl { get; init; }

    [Description("Temporally adaptive interpolated distillation (TAID)")]
    public Taid? Taid { get; init; }

    [Description("Squared distance of centred logits; for a teacher that is a model on disk")]
    public LogitMse? LogitMse { get; init; }

    [Description("Likelihood of the teacher's order of its most probable tokens (ListMLE)")]
    public ListwiseRanking? ListwiseRanking { get; init; }

    [Description("Decoupled distillation (DKD): the drawn token against all others, and the others among themselves")]
    public DecoupledKd? Dkd { get; init; }

    [Description("Non-target-class-enhanced distillation (NTCE-KD)")]
    public NonTargetKd? NtceKd { get; init; }

    [Description("Universal logit distillation (ULD) of alternatives that the student has no tokens for")]
    public UniversalLogit? Uld { get; init; }

    [Description("Distance of hidden states: mse, cosine or cka; for a teacher that is a model on disk, as all that follow")]
    public HiddenStates? HiddenStates { get; init; }

    [Description("Distance of attention maps")]
    public AttentionMaps? AttentionMaps { get; init; }

    [Description("Distance of the relations among values (MiniLM)")]
    public ValueRelations? ValueRelations { get; init; }

    [Description("Distances and angles between samples (RKD)")]
    public Relations? Rkd { get; init; }

    [Description("Relations of each layer to the next (FSP)")]
    public FlowOfSolution? Fsp { get; init; }

    [Description("Contrast between sequences (CRD)")]
    public Contrastive? Crd { get; init; }

    [Description("Cross entropy of a discriminator between hidden states, which the student learns to deceive")]
    public Adversarial? Adversarial { get; init; }

    /// <summary>The objective.</summary>
    /// <exception cref="InvalidOperationException">There is none, or more than one.</exception>
    internal Objective Chosen => Given().Single();

    /// <summary>Keys of all objectives.</summary>
    internal static IReadOnlyList<string> Names { get; } = [.. All.Select(property => NameOf(property.Name))];

    /// <summary>Keys of those that compare states.</summary>
    internal static IReadOnlyList<string> OfStates { get; } =
    [.. All.Where(property => property.PropertyType.IsAssignableTo(typeof(StateObjective))).Select(property => NameOf(property.Name))];

    /// <summary>An objective at its defaults, with a weight of 1.</summary>
    public static ObjectiveChoice Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var result)
            ? result
            : throw new FormatException($"unknown objective \"{s}\"; {NearestName.Suggestion(s, Names)}");

    public static bool TryParse(string? s, IFormatProvider? provider, out ObjectiveChoice result)
    {
        result = new ObjectiveChoice();
        if (All.FirstOrDefault(property => NameOf(property.Name) == s) is not { } property)
        {
            return false;
        }

        property.SetValue(result, Activator.CreateInstance(property.PropertyType));
        return true;
    }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        Objective[] given = [.. Given()];
        if (given.Length != 1)
        {
            yield return new ValidationResult(
                given.Length == 0
                    ? $"name an objective: {string.Join(", ", Names)}"
                    : "is a list of objectives, each an item of its own: put a dash, or braces, around "
                        + string.Join(" and ", given.Select(objective => objective.Name))
            );
        }
    }

    IEnumerable<Objective> Given() => All.Select(property => property.GetValue(this)).OfType<Objective>();

    static string NameOf(string property) => JsonNamingPolicy.SnakeCaseLower.ConvertName(property);
}
