namespace TraceDistill.Teachers.Connector;

/// <summary>Settings of an endpoint in a recipe, on the command line or in code, before it is checked.</summary>
public sealed record EndpointSettings
{
    /// <summary>Such as <c>http://gpu-01:8000/v1</c>; without a path, <c>/v1</c> is assumed.</summary>
    public required string Url { get; init; }

    /// <summary>The model's name as the endpoint knows it.</summary>
    public required string Model { get; init; }

    /// <summary>The environment variable that holds the key; null where a file holds it, or none is sent.</summary>
    public string? ApiKeyEnv { get; init; }

    /// <summary>The file that holds the key and nothing else; null where a variable holds it, or none is sent.</summary>
    public string? ApiKeyFile { get; init; }

    /// <summary>The name of its dialect.</summary>
    /// <value><c>auto</c>: found out.</value>
    public string Dialect { get; init; } = Dialects.KnownDialects.Auto;

    /// <summary>
    /// The folder with the teacher's tokenizer.json. The dialect <c>sglang-generate</c> renders prompts with
    /// it; for any, it tells whether prompts end inside the reasoning and which marks the reasoning has.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>
    /// The two marks around the reasoning, or <c>harmony</c>; none where they are to be found
    /// in the tokenizer's chat template or the answers.
    /// </summary>
    public IReadOnlyList<string> ReasoningMarkers { get; init; } = [];

    /// <summary>
    /// True where answers come in pieces while they are generated: for gateways that end connections in which nothing is sent for a while.
    /// </summary>
    /// <value>False: as a whole, which costs less on both sides.</value>
    public bool Stream { get; init; }
}
