using System.ComponentModel;
using TraceDistill.Core.Options;
using TraceDistill.Teachers.Dialects;

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

    [Description("The file that holds the endpoint's key and nothing else")]
    public string? ApiKeyFile { get; init; }

    /// <value><c>auto</c>: found out.</value>
    [KnownDialect]
    [Description("What kind of server the endpoint is, such as vllm")]
    public string Dialect { get; init; } = KnownDialects.Auto;

    /// <value>None; the dialect sglang-generate needs it.</value>
    [InputPath]
    [Description("Folder with the teacher's tokenizer.json")]
    public string? Tokenizer { get; init; }

    /// <value>20.</value>
    [Description("Alternatives a token to ask the endpoint for")]
    public int TopLogprobs { get; init; } = 20;
}
