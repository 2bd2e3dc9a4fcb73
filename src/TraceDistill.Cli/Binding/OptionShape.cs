using System.Reflection;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Binding;

/// <summary>
/// Forms in which values of a type are written: as one value, as a list, as a dictionary, or as a map of the properties of a record.
/// </summary>
static class OptionShape
{
    static readonly Type[] ListTypes =
    [
        typeof(IReadOnlyList<>),
        typeof(IReadOnlyCollection<>),
        typeof(IEnumerable<>),
        typeof(IList<>),
        typeof(List<>),
    ];
    static readonly Type[] DictionaryTypes = [typeof(IReadOnlyDictionary<,>), typeof(IDictionary<,>)];

    /// <summary>The item type of a list or array, or null.</summary>
    public static Type? ListItem(Type type) =>
        type switch
        {
            { IsArray: true } => type.GetElementType(),
            { IsGenericType: true } when ListTypes.Contains(type.GetGenericTypeDefinition()) => type.GetGenericArguments()[0],
            _ => null,
        };

    /// <summary>The value type of a dictionary with text keys, or null.</summary>
    public static Type? DictionaryValue(Type type) =>
        type.IsGenericType && DictionaryTypes.Contains(type.GetGenericTypeDefinition()) && type.GetGenericArguments()[0] == typeof(string)
            ? type.GetGenericArguments()[1]
            : null;

    /// <summary>The record that a dictionary has for each name, or null.</summary>
    public static Type? DictionaryRecord(Type type) => DictionaryValue(type) is { } value && IsRecord(value) ? value : null;

    /// <summary>Returns whether one plain value makes an instance: text, a flag, an enum, or anything that parses itself.</summary>
    public static bool IsScalar(Type type) =>
        type == typeof(string) || type.IsEnum || type == typeof(bool) || ParseMethod(type) is not null || Shorthand(type) is not null;

    /// <summary>The property that a plain value of a record stands for; null where there is none.</summary>
    public static PropertyInfo? Shorthand(Type type) =>
        type.GetCustomAttribute<ShorthandAttribute>(inherit: true) is { } attribute ? type.GetProperty(attribute.Property) : null;

    /// <summary>Returns whether a map of properties makes an instance.</summary>
    public static bool IsRecord(Type type) =>
        !type.IsEnum
        && type.Namespace?.StartsWith(nameof(System), StringComparison.Ordinal) == false
        && !type.IsAbstract
        && (type.IsValueType || type.GetConstructor(Type.EmptyTypes) is not null)
        && type.GetProperties().Any(property => property.SetMethod is { IsPublic: true });

    /// <summary>
    /// <c>Parse(string, IFormatProvider)</c> of an <see cref="IParsable{TSelf}"/>: how the option types of other projects say that they
    /// can be written as one value. A <see cref="FormatException"/> says what is wrong with it.
    /// </summary>
    public static MethodInfo? ParseMethod(Type type) =>
        type.GetInterfaces()
            .Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IParsable<>) && i.GetGenericArguments()[0] == type)
            ? type.GetMethod("Parse", BindingFlags.Public | BindingFlags.Static, [typeof(string), typeof(IFormatProvider)])
            : null;
}
