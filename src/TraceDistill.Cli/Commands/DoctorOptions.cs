using System.ComponentModel;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>doctor</c>.</summary>
sealed record DoctorOptions
{
    [Description("An OpenAI-compatible endpoint to try, such as http://gpu-01:8000/v1")]
    public string? Endpoint { get; init; }

    [Description("The model's name there")]
    public string? Model { get; init; }

    [Description("The environment variable that holds the endpoint's key")]
    public string? ApiKeyEnv { get; init; }

    /// <value>20.</value>
    [Description("Alternatives a token to ask the endpoint for")]
    public int TopLogprobs { get; init; } = 20;
}
