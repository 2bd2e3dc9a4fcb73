using System.Buffers;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Teachers.Dialects;

/// <summary>The recipe's <c>extra_body</c>: fields that pass through into each request.</summary>
public static class ExtraBody
{
    /// <summary>Fields that this program writes itself, with the option that sets each, or why none does.</summary>
    static readonly Dictionary<string, string> Own = new()
    {
        ["model"] = "write model instead",
        ["messages"] = "write prompt instead",
        ["temperature"] = "write temperature instead",
        ["top_p"] = "write top_p instead",
        ["max_tokens"] = "write max_tokens instead",
        ["max_completion_tokens"] = "write max_tokens instead",
        ["max_new_tokens"] = "write max_tokens instead",
        ["seed"] = "write seed instead",
        ["logprobs"] = "write top_logprobs instead",
        ["top_logprobs"] = "write top_logprobs instead",
        ["return_token_ids"] = "ids are asked for where the server has them",
        ["return_tokens_as_token_ids"] = "ids are asked for where the server has them",
        ["n"] = "write samples_per_problem instead",
        ["best_of"] = "a request asks for one answer",
        ["stream"] = "write stream instead",
        ["stream_options"] = "usage is asked for where answers are streamed",
    };

    /// <summary>Why a field cannot pass through, or null where it can.</summary>
    internal static string? Refusal(string field) =>
        Own.TryGetValue(field, out var advice) ? $"'{field}' is a field of this program's own: {advice}" : null;

    /// <summary>Finds what is wrong with fields that are to pass through.</summary>
    /// <param name="fields">The fields.</param>
    /// <param name="member">The option that has them.</param>
    public static IEnumerable<ValidationResult> Validate(IReadOnlyDictionary<string, JsonElement>? fields, string member) =>
        (fields?.Keys ?? []).Select(Refusal).OfType<string>().Select(refusal => new ValidationResult(refusal, [member]));

    /// <summary>The fields as <see cref="Data.Generation.SamplingSettings.ExtraBody"/> has them; null where there are none.</summary>
    /// <remarks>Members are sorted at every level, so that equal fields are equal text.</remarks>
    public static string? Canonical(IEnumerable<KeyValuePair<string, JsonElement>>? fields)
    {
        var sorted = fields?.OrderBy(field => field.Key, StringComparer.Ordinal).ToList();
        if (sorted is null or [])
        {
            return null;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer, JsonFile.Plain);
        Write(json, sorted);
        json.Flush();
        return System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    static void Write(Utf8JsonWriter json, IEnumerable<KeyValuePair<string, JsonElement>> fields)
    {
        json.WriteStartObject();
        foreach (var (name, value) in fields)
        {
            json.WritePropertyName(name);
            Write(json, value);
        }

        json.WriteEndObject();
    }

    static void Write(Utf8JsonWriter json, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                Write(
                    json,
                    value
                        .EnumerateObject()
                        .OrderBy(member => member.Name, StringComparer.Ordinal)
                        .Select(member => KeyValuePair.Create(member.Name, member.Value))
                );
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                {
                    Write(json, item);
                }

                json.WriteEndArray();
                break;
            default:
                value.WriteTo(json);
                break;
        }
    }
}
