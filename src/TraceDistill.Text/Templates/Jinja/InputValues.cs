using System.Collections;
using System.Text.Json;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Copies what a caller gives into template values; anything that is not plain data is refused.</summary>
static class InputValues
{
    public static object? Copy(object? value) =>
        value switch
        {
            null or bool or long or double or string => value,
            int number => (long)number,
            float number => (double)number,
            JsonElement json => Copy(json),
            IReadOnlyDictionary<string, object?> map => CopyMap(map),
            IEnumerable items => items.Cast<object?>().Select(Copy).ToList(),
            _ => throw new ArgumentException($"a chat template cannot be given a {value.GetType().Name}", nameof(value)),
        };

    static object? Copy(JsonElement json) =>
        json.ValueKind switch
        {
            JsonValueKind.String => json.GetString(),
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.Number when !json.GetRawText().AsSpan().ContainsAny(".eE") && json.TryGetInt64(out var number) => number,
            JsonValueKind.Number => json.GetDouble(),
            JsonValueKind.Array => json.EnumerateArray().Select(Copy).ToList(),
            JsonValueKind.Object => CopyObject(json),
            _ => null,
        };

    static JinjaMap CopyObject(JsonElement json)
    {
        var map = new JinjaMap();
        foreach (var property in json.EnumerateObject())
        {
            map[property.Name] = Copy(property.Value);
        }
        return map;
    }

    static JinjaMap CopyMap(IReadOnlyDictionary<string, object?> source)
    {
        var map = new JinjaMap();
        foreach (var (key, value) in source)
        {
            map[key] = Copy(value);
        }
        return map;
    }
}
