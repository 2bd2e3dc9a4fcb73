using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace TraceDistill.Evaluation;

/// <summary>
/// Where a model to be measured is found: a model directory, written as its path alone, or <c>{ endpoint: URL, model: NAME }</c>.
/// </summary>
public sealed record ModelSource : IParsable<ModelSource>, IValidatableObject
{
    /// <summary>The model directory; null for a model behind an endpoint.</summary>
    public string? Directory { get; private init; }

    [Description("OpenAI-compatible endpoint, such as http://gpu-01:8000/v1")]
    public string? Endpoint { get; init; }

    [Description("Name of the model at the endpoint")]
    public string? Model { get; init; }

    [Description("Environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    [Description("File that holds the endpoint's key and nothing else")]
    public string? ApiKeyFile { get; init; }

    /// <value><c>auto</c>: found out.</value>
    [Description("Dialect of the endpoint's server, such as vllm")]
    public string Dialect { get; init; } = "auto";

    /// <value>False.</value>
    [Description("Stream answers while they are generated")]
    public bool Stream { get; init; }

    public static ModelSource Parse(string s, IFormatProvider? provider) => new() { Directory = s };

    public static bool TryParse(string? s, IFormatProvider? provider, out ModelSource result)
    {
        result = new ModelSource { Directory = s };
        return s is not null;
    }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Directory is null && Endpoint is null)
        {
            yield return new ValidationResult("is required: an endpoint's address", [nameof(Endpoint)]);
        }

        if (Directory is null && string.IsNullOrWhiteSpace(Model))
        {
            yield return new ValidationResult("is required: the model's name as the endpoint knows it", [nameof(Model)]);
        }
    }

    /// <summary>The path, or the model's name and the address.</summary>
    public override string ToString() => Directory ?? $"{Model} at {Endpoint}";
}
