using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>doctor</c>.</summary>
sealed record DoctorOptions : IValidatableObject
{
    [Description("OpenAI-compatible endpoint, such as http://gpu-01:8000/v1")]
    public string? Endpoint { get; init; }

    [Description("Name of the model at the endpoint")]
    public string? Model { get; init; }

    [Description("Environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    [Description("File that holds the endpoint's key and nothing else")]
    public string? ApiKeyFile { get; init; }

    /// <value><c>auto</c>: found out.</value>
    [KnownDialect]
    [Description(KnownDialects.Help)]
    public string Dialect { get; init; } = KnownDialects.Auto;

    /// <value>None; the dialect sglang-generate needs it.</value>
    [InputPath]
    [Description("Folder with the teacher's tokenizer.json")]
    public string? Tokenizer { get; init; }

    /// <value>20.</value>
    [Description("Alternatives for each token: the soft targets; 0 asks for text alone")]
    public int TopLogprobs { get; init; } = GenerateOptions.DefaultTopLogprobs;

    /// <value>None: the likeliest alternatives.</value>
    [Range(1, 256, ErrorMessage = "must be from 1 to 256")]
    [Description("Soft targets drawn at random from the model's whole distribution for each token, in place of top_logprobs")]
    public int? SampledLogprobs { get; init; }

    /// <value>1.0. With another one it is found out whether logprobs follow it.</value>
    [Range(0.0, 100.0, ErrorMessage = "must be from 0 to 100")]
    [Description("Sampling temperature; 0 is greedy")]
    public double Temperature { get; init; } = 1.0;

    /// <value>1.0.</value>
    [Range(1e-9, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("Top-p (nucleus) of the sampling")]
    public double TopP { get; init; } = 1.0;

    /// <value>None.</value>
    [Description("More fields of each request, such as chat_template_kwargs: { enable_thinking: false }")]
    public IReadOnlyDictionary<string, JsonElement>? ExtraBody { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (SampledLogprobs is not null && TopLogprobs != GenerateOptions.DefaultTopLogprobs)
        {
            yield return new ValidationResult(GenerateOptions.EitherAlternatives, [nameof(TopLogprobs)]);
        }

        foreach (var refusal in Teachers.Dialects.ExtraBody.Validate(ExtraBody, nameof(ExtraBody)))
        {
            yield return refusal;
        }
    }
}
