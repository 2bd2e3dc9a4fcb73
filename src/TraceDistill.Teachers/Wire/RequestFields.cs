using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Wire;

/// <summary>Writes the fields that a dialect wants and those that pass through, which come before the dialect's.</summary>
static class RequestFields
{
    /// <param name="json">Within the object that takes them.</param>
    /// <param name="dialect">Dialect of the server.</param>
    /// <param name="sampling">Sampling settings, whose other fields pass through.</param>
    /// <param name="except">A field that does not: it was made use of here.</param>
    public static void Write(Utf8JsonWriter json, Dialect dialect, SamplingSettings sampling, string? except = null)
    {
        using var extra = sampling.ExtraBody is { } text ? JsonDocument.Parse(text) : null;
        foreach (var (name, value) in sampling.TopLogprobs > 0 ? dialect.Fields.Concat(dialect.LogprobFields) : dialect.Fields)
        {
            if (extra?.RootElement.TryGetProperty(name, out _) != true)
            {
                json.WritePropertyName(name);
                json.WriteRawValue(value);
            }
        }

        foreach (var member in extra?.RootElement.EnumerateObject() ?? default)
        {
            if (member.Name != except)
            {
                member.WriteTo(json);
            }
        }
    }
}
