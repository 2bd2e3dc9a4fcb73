using System.Text.Json;

namespace TraceDistill.Data.Files;

/// <summary>Steps into JSON that may be of another shape.</summary>
public static class JsonPath
{
    /// <param name="element">Where to start.</param>
    /// <param name="steps">Names of members and indices of items.</param>
    /// <returns>The node that lies there; null where there is none, or null.</returns>
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

    /// <summary>The text that lies there; null where there is none.</summary>
    /// <inheritdoc cref="Find" path="/param"/>
    public static string? Text(this JsonElement element, params ReadOnlySpan<object> steps) =>
        element.Find(steps) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    /// <summary>The whole number of 32 bits that lies there; null where there is none.</summary>
    /// <inheritdoc cref="Find" path="/param"/>
    public static int? Integer(this JsonElement element, params ReadOnlySpan<object> steps) =>
        element.Find(steps) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var integer) ? integer : null;

    /// <summary>The whole number from 0 to 2³¹ − 1 that lies there; null where there is none.</summary>
    /// <inheritdoc cref="Find" path="/param"/>
    public static int? Count(this JsonElement element, params ReadOnlySpan<object> steps) =>
        element.Integer(steps) is >= 0 and var count ? count : null;

    /// <summary>The items of the list that lies there; none where there is no list.</summary>
    /// <inheritdoc cref="Find" path="/param"/>
    public static IReadOnlyList<JsonElement> Items(this JsonElement element, params ReadOnlySpan<object> steps) =>
        element.Find(steps) is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray()] : [];
}
