using System.Text.Json;

namespace TraceDistill.Cli.Binding;

/// <summary>Names of option types in messages and in help.</summary>
static class TypeWords
{
    /// <summary>Expected values, in words.</summary>
    public static string Expected(Type type) =>
        Underlying(type) switch
        {
            var t when t == typeof(string) => "text",
            var t when t == typeof(JsonElement) => "a value of any kind",
            var t when t == typeof(bool) => "true or false",
            var t when IsWhole(t) => "a whole number",
            var t when IsReal(t) => "a number",
            { IsEnum: true } t => $"one of {string.Join(", ", EnumNames.Of(t))}",
            var t when OptionShape.ListItem(t) is { } item => $"a list of values, each {Expected(item)}",
            var t when OptionShape.DictionaryValue(t) is { } value => $"a map of names to values, each {Expected(value)}",
            var t when OptionShape.IsScalar(t) && OptionShape.IsRecord(t) => "a value or a map",
            var t when OptionShape.IsScalar(t) => "a value",
            var t => $"a map of {string.Join(", ", OptionSchema.Of(t).Keys)}",
        };

    /// <summary>The placeholder that stands for a value in help.</summary>
    public static string Placeholder(OptionProperty property) =>
        Underlying(property.Type) switch
        {
            _ when property.MayBeInputPath && OptionShape.DictionaryValue(property.Type) is null => "PATH",
            var t when IsWhole(t) => "N",
            var t when IsReal(t) => "NUMBER",
            var t when t == typeof(bool) => "true|false",
            { IsEnum: true } t => string.Join('|', EnumNames.Of(t)),
            var t when OptionShape.DictionaryValue(t) is not null => "NAME=VALUE",
            var t when OptionShape.ListItem(t) is not null => "VALUE,..",
            var t when OptionShape.IsRecord(t) && !OptionShape.IsScalar(t) => "FILE.yaml|{..}",
            var t when OptionShape.IsRecord(t) => "VALUE|{..}",
            _ => "VALUE",
        };

    /// <summary>Found value, in words.</summary>
    public static string Of(ConfigNode node) =>
        node switch
        {
            ConfigScalar { Text: null } => "nothing",
            ConfigScalar scalar => $"\"{scalar.Text}\"",
            ConfigList => "a list",
            _ => "a map",
        };

    static Type Underlying(Type type) => Nullable.GetUnderlyingType(type) ?? type;

    static bool IsWhole(Type type) => type == typeof(int) || type == typeof(long);

    static bool IsReal(Type type) => type == typeof(double) || type == typeof(float);
}
