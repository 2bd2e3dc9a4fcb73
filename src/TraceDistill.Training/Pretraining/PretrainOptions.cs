using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Pretraining;

/// <summary>Settings of <c>pretrain</c>: a model from scratch, on problems with worked solutions.</summary>
public sealed record PretrainOptions : OptimizationOptions, IValidatableObject
{
    /// <summary>Families of generated problems to learn from, when no file is given.</summary>
    /// <value>All.</value>
    [KnownFamilies]
    [Description("Families of generated problems to learn from: all, or names; in place of problems")]
    public IReadOnlyList<string> Family { get; init; } = [ProblemGenerator.AllFamilies];

    [InputPath]
    [InPlaceOf(nameof(Family))]
    [Description("File of problems with worked solutions to learn from, in place of generated ones")]
    public string? Problems { get; init; }

    [Description("Config of the model")]
    public required ModelArchitecture Architecture { get; init; }

    /// <value>512 tokens, 256 of them the bytes.</value>
    [Range(256 + 7, 1_000_000, ErrorMessage = "must be at least 263: the bytes and the special tokens")]
    [Description("Size of the byte-level BPE vocabulary that is learned from the problems")]
    public int VocabSize { get; init; } = 512;

    /// <value>bfloat16.</value>
    [Description("Dtype of the finished weights: float32, float16 or bfloat16")]
    public TensorDtype Dtype { get; init; } = TensorDtype.BFloat16;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (QuantizationAware == QuantizationAware.None && QuantizationStart != new OptimizationOptions().QuantizationStart)
        {
            yield return new ValidationResult("goes with quantization_aware", [nameof(QuantizationStart)]);
        }

        if (QuantizationAware != QuantizationAware.None && Dtype != TensorDtype.Float32)
        {
            yield return new ValidationResult(
                "must be float32 with quantization_aware: 16 bits have no room for a scale times a whole number",
                [nameof(Dtype)]
            );
        }

        if (Architecture.PictureEncoder is not null)
        {
            yield return new ValidationResult(
                "picture_encoder: models are pretrained on text; train puts an encoder before one (init_from)",
                [nameof(Architecture)]
            );
        }

        if (NumTrainEpochs is not null && Problems is null)
        {
            yield return new ValidationResult(
                "generated problems have no end, and so no epochs: give max_steps, or problems",
                [nameof(NumTrainEpochs)]
            );
        }
    }
}
