using System.Text.Encodings.Web;
using System.Text.Json;

namespace TraceDistill.Evaluation;

/// <summary>How evaluation files are written: snake case, nothing escaped that JSON does not ask for.</summary>
public static class EvaluationJson
{
    /// <summary>For lines of a JSONL file.</summary>
    public static JsonSerializerOptions Line { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectNullableAnnotations = true,
    };

    /// <summary>For whole files that people open.</summary>
    public static JsonSerializerOptions Document { get; } = new(Line) { WriteIndented = true };
}
