using System.Text.Json;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Scoring;

/// <summary>Fields that requests to <c>/v1/completions</c> that score a text have in common, and their replies.</summary>
static class CompletionFields
{
    /// <param name="json">Within the object that takes them.</param>
    public static void Write(Utf8JsonWriter json, ScoringCall call)
    {
        json.WriteString("model", call.Model);
        if (call.Text is { } text)
        {
            json.WriteString("prompt", text);
        }
        else
        {
            WriteIds(json, "prompt", call.Ids);
        }

        json.WriteNumber("max_tokens", call.NewTokens);

        // The distribution as the model has it: at temperature 1 raw and processed logprobs are the same numbers.
        if (!call.Dialect.LeftOut.Contains("temperature"))
        {
            json.WriteNumber("temperature", 1);
        }

        foreach (var (name, value) in call.Dialect.Fields)
        {
            json.WritePropertyName(name);
            json.WriteRawValue(value);
        }
    }

    public static void WriteIds(Utf8JsonWriter json, string name, ReadOnlySpan<int> ids)
    {
        json.WriteStartArray(name);
        foreach (var id in ids)
        {
            json.WriteNumberValue(id);
        }

        json.WriteEndArray();
    }

    /// <summary>Reads the member <c>usage</c> at the reader.</summary>
    public static void ReadUsage(ref Utf8JsonReader reader, ScoredTokens tokens)
    {
        var usage = TokenUsage.Read(ref reader);
        tokens.PromptTokens = usage.PromptTokens ?? tokens.PromptTokens;
        tokens.CompletionTokens = usage.CompletionTokens ?? tokens.CompletionTokens;
    }
}
