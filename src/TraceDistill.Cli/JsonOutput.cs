using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace TraceDistill.Cli;

/// <summary>How the program writes JSON: snake_case keys, enums as text, NaN and infinities as text.</summary>
static class JsonOutput
{
    /// <summary>Indented, for files and standard output.</summary>
    public static JsonSerializerOptions Options { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        WriteIndented = true,
    };

    /// <summary>One line an object, for logs.</summary>
    public static JsonSerializerOptions Line { get; } = new(Options) { WriteIndented = false };
}
