using System.Text.Json;

namespace TraceDistill.Cli.Binding;

/// <summary>The names of an enum's members as they stand in recipes: <c>snake_case</c>.</summary>
static class EnumNames
{
    /// <summary>All names, in the order declared.</summary>
    public static IReadOnlyList<string> Of(Type type) => [.. Enum.GetNames(type).Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];

    /// <summary>The member called <paramref name="text"/>, or null; case does not matter and a dash stands for an underscore.</summary>
    public static object? Parse(Type type, string text)
    {
        var index = Of(type).ToList().FindIndex(name => name.Equals(text.Replace('-', '_'), StringComparison.OrdinalIgnoreCase));
        return index < 0 ? null : Enum.Parse(type, Enum.GetNames(type)[index]);
    }
}
