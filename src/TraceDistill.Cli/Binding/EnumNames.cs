using System.Text.Json;
using System.Text.RegularExpressions;

namespace TraceDistill.Cli.Binding;

/// <summary>The names of an enum's members as they stand in recipes: <c>snake_case</c>.</summary>
static partial class EnumNames
{
    /// <summary>All names, in the order declared.</summary>
    public static IReadOnlyList<string> Of(Type type) => [.. Enum.GetNames(type).Select(ToSnakeCase)];

    /// <summary>The name of one value.</summary>
    public static string Of(Enum value) => ToSnakeCase(value.ToString());

    /// <summary>The member called <paramref name="text"/>, or null; neither case nor dashes and underscores matter.</summary>
    public static object? Parse(Type type, string text)
    {
        var name = Enum.GetNames(type).FirstOrDefault(name => Plain(name).Equals(Plain(text), StringComparison.OrdinalIgnoreCase));
        return name is null ? null : Enum.Parse(type, name);
    }

    static string Plain(string name) => name.Replace("_", "").Replace("-", "");

    /// <summary>A first letter that stands alone belongs to the word after it: <c>BFloat16</c> is <c>bfloat16</c>.</summary>
    static string ToSnakeCase(string name) => LoneLetter().Replace(JsonNamingPolicy.SnakeCaseLower.ConvertName(name), "$1");

    [GeneratedRegex("^([a-z])_", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex LoneLetter();
}
