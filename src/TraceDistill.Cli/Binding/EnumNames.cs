using System.Text.Json;

namespace TraceDistill.Cli.Binding;

/// <summary>The names of an enum's members as they stand in recipes: <c>snake_case</c>.</summary>
static class EnumNames
{
    /// <summary>All names, in the order declared.</summary>
    public static IReadOnlyList<string> Of(Type type) => [.. Enum.GetNames(type).Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];

    /// <summary>The member called <paramref name="text"/>, or null; neither case nor dashes and underscores matter.</summary>
    public static object? Parse(Type type, string text)
    {
        var name = Enum.GetNames(type).FirstOrDefault(name => name.Equals(text.Replace("_", "").Replace("-", ""), StringComparison.OrdinalIgnoreCase));
        return name is null ? null : Enum.Parse(type, name);
    }
}
