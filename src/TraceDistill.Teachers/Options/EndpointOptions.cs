using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Options;

/// <summary>
/// One of several endpoints that serve the same model, written as its address alone or as a map. What is not said
/// is as for all: the key, the concurrency, the limits and the price that <see cref="TeacherOptions"/> gives.
/// </summary>
public sealed record EndpointOptions : IParsable<EndpointOptions>
{
    [Description("OpenAI-compatible endpoint, such as http://gpu-01:8000/v1")]
    public required string Endpoint { get; init; }

    /// <value>None: the name that holds for all.</value>
    [Description("Name of the model at the endpoint")]
    public string? Model { get; init; }

    /// <value>1.</value>
    [Range(1e-3, 1e6, ErrorMessage = "must be from 0.001 to 1000000")]
    [Description("Weight of the endpoint: its share of the requests relative to the others")]
    public double Weight { get; init; } = 1;

    [Description("Environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    [Description("File that holds the endpoint's key and nothing else")]
    public string? ApiKeyFile { get; init; }

    /// <value>None: the one that holds for all.</value>
    [KnownDialect]
    [Description(KnownDialects.Help)]
    public string? Dialect { get; init; }

    [Range(1, 100_000, ErrorMessage = "must be from 1 to 100000")]
    [Description("Maximum requests in flight at the endpoint; an overloaded endpoint is given fewer")]
    public int? Concurrency { get; init; }

    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Maximum requests per minute at the endpoint")]
    public int? Rpm { get; init; }

    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Maximum tokens per minute at the endpoint, prompts and answers")]
    public int? Tpm { get; init; }

    [Description("Price of a million tokens: { input, output }, of prompts and answers, in any currency")]
    public TokenPrice? Price { get; init; }

    public static EndpointOptions Parse(string s, IFormatProvider? provider) => new() { Endpoint = s };

    public static bool TryParse(string? s, IFormatProvider? provider, out EndpointOptions result)
    {
        result = new EndpointOptions { Endpoint = s ?? "" };
        return s is not null;
    }
}
