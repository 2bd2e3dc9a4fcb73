using System.Text.Json;

namespace TraceDistill.Serving.Responses;

/// <summary>The fields that name a response.</summary>
/// <param name="Id">Such as <c>chatcmpl-…</c>.</param>
/// <param name="Object">Such as <c>chat.completion</c>.</param>
/// <param name="Created">Seconds since 1970.</param>
/// <param name="Model">The model's name.</param>
readonly record struct ResponseHeader(string Id, string Object, long Created, string Model)
{
    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("id", Id);
        json.WriteString("object", Object);
        json.WriteNumber("created", Created);
        json.WriteString("model", Model);
    }

    public static void WriteUsage(Utf8JsonWriter json, int promptTokens, int completionTokens)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", promptTokens);
        json.WriteNumber("completion_tokens", completionTokens);
        json.WriteNumber("total_tokens", promptTokens + completionTokens);
        json.WriteEndObject();
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
}
