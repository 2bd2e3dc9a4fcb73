using System.Text.Json;

namespace TraceDistill.Teachers.Probe;

/// <summary>Steps into JSON that may be of another shape.</summary>
static class JsonPath
{
    /// <param name="element">Where to start.</param>
    /// <param name="steps">Names of members and indices of items.</param>
    /// <returns>What lies there; null where there is nothing, or null.</returns>
    public static JsonElement? Find(this JsonElement element, params ReadOnlySpan<object> steps)
    {
        foreach (var step in steps)
        {
            switch (step)
            {
                case string name when element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member):
                    element = member;
                    break;
                case int index when element.ValueKind == JsonValueKind.Array && index < element.GetArrayLength():
                    element = element[index];
                    break;
                default:
                    return null;
            }
        }

        return element.ValueKind == JsonValueKind.Null ? null : element;
    }

    /// <summary>The text at <paramref name="name"/>, or null.</summary>
    public static string? Text(this JsonElement element, string name) => element.Find(name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
