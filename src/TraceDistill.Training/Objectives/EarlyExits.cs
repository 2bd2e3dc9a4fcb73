using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace TraceDistill.Training.Objectives;

/// <summary>
/// Self-distillation of a student whose layers are exits (Zhang et al., "Be Your Own Teacher", arXiv 1905.08094, with the one output head
/// of all exits that LayerSkip has, Elhoushi et al., arXiv 2404.16710): the final norm and the output matrix give each of them logits,
/// which learn from the last layer's, as a constant, and from the drawn tokens: mean over exits of α · T² · KL(last ‖ exit) + (1 − α) · CE.
/// </summary>
public sealed record EarlyExits : IValidatableObject
{
    /// <value>None.</value>
    [Description("Layers, from 0, after which an answer may leave the student; below its last one")]
    public IReadOnlyList<int> Layers { get; init; } = [];

    /// <value>0.3.</value>
    [Description("Weight of the exits' loss: a number, or a map with schedule, from and to")]
    public Schedule Weight { get; init; } = Schedule.Constant(0.3);

    /// <value>0.7.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Share of what the last layer teaches an exit, against the drawn tokens")]
    public double Alpha { get; init; } = 0.7;

    /// <value>1.</value>
    [Range(1e-3, 1e3, ErrorMessage = "must be from 0.001 to 1000")]
    [Description("Temperature of last layer and exit")]
    public double Temperature { get; init; } = 1;

    /// <summary>The loss of each exit.</summary>
    internal IReadOnlyList<TokenObjective> Objectives(TrainingPoint at)
    {
        var each = Weight.ValueAt(at) / Layers.Count;
        return
        [
            new CrossEntropy { Weight = Schedule.Constant(each * (1 - Alpha)) },
            new KlForward { Weight = Schedule.Constant(each * Alpha), Temperature = Schedule.Constant(Temperature) },
        ];
    }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Layers.Count == 0 || Layers.Any(layer => layer < 0) || Layers.Distinct().Count() < Layers.Count)
        {
            yield return new ValidationResult("names layers from 0, each once, such as [1]", [nameof(Layers)]);
        }

        if (Weight.Range.High <= 0)
        {
            yield return new ValidationResult("is 0 at all steps: the exits would learn nothing; leave early_exits out", [nameof(Weight)]);
        }
        else if (
            (Weight.Problem ?? (Weight.IsOverSteps && Weight.Range.Low >= 0 ? null : "must be at least 0, or a course over steps")) is
            { } problem
        )
        {
            yield return new ValidationResult(problem, [nameof(Weight)]);
        }
    }
}
