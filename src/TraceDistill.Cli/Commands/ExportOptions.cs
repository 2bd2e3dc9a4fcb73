using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Gguf;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>export</c>.</summary>
sealed record ExportOptions : IValidatableObject
{
    [InputPath]
    [Description("Model directory to export")]
    public required string Model { get; init; }

    /// <value>None.</value>
    [InputPath]
    [Description("Folder of a LoRA or DoRA adapter in PEFT's layout, which is merged into the model")]
    public string? Adapter { get; init; }

    [Description("Format: huggingface, a folder for transformers, vLLM and the Hub, with a model card, or gguf, one file for llama.cpp")]
    public required ExportFormat Format { get; init; }

    /// <value>F16 in gguf, none in huggingface.</value>
    [Description(
        "Quantization of weights in gguf, f16 unless given; in huggingface weights are then, in float32, what a gguf file of it has, "
            + "so that evaluate tells what it costs"
    )]
    public GgufQuantization? Quantization { get; init; }

    /// <value>As the model has them.</value>
    [Description("Dtype of weights in huggingface; the model's own unless given")]
    public TensorDtype? Dtype { get; init; }

    /// <value>The model directory's name.</value>
    [Description("Name of the exported model; the directory's name unless given")]
    public string? Name { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Format == ExportFormat.Gguf && Dtype is not null)
        {
            yield return new ValidationResult("belongs to the format huggingface; gguf has quantization", [nameof(Dtype)]);
        }

        if (Format == ExportFormat.Huggingface && Quantization is not null && Dtype is not (null or TensorDtype.Float32))
        {
            yield return new ValidationResult(
                "leave it out with quantization, whose values are written in float32: 16 bits have no room for them",
                [nameof(Dtype)]
            );
        }
    }
}

/// <summary>Formats that models can be exported in.</summary>
enum ExportFormat
{
    Huggingface,
    Gguf,
}
