using System.Collections.Concurrent;
using System.ComponentModel;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Binding;

/// <summary>One setting of an options record.</summary>
/// <param name="Key">Its name in a recipe, such as <c>max_steps</c>; <see cref="JsonPropertyNameAttribute"/> may give another one.</param>
/// <param name="Property">The record's property.</param>
/// <param name="IsRequired">True where it has no default.</param>
/// <param name="IsNullable">True where it may be left empty.</param>
/// <param name="Default">The value it has when nothing is said.</param>
sealed record OptionProperty(string Key, PropertyInfo Property, bool IsRequired, bool IsNullable, object? Default)
{
    /// <summary>Key of a property in recipes.</summary>
    public static string KeyOf(string propertyName) => JsonNamingPolicy.SnakeCaseLower.ConvertName(propertyName);

    public Type Type => Property.PropertyType;

    /// <summary>Its name on the command line: <c>--max-steps</c>, or <c>RECIPE</c> for the value that stands without an option.</summary>
    public string CommandLineName => IsPositional ? Key.ToUpperInvariant() : "--" + Key.Replace('_', '-');

    public string? Description => Property.GetCustomAttribute<DescriptionAttribute>()?.Description;

    /// <summary>True where its values are files or folders that are read, at least where nothing beside it says otherwise.</summary>
    public bool MayBeInputPath => Property.IsDefined(typeof(InputPathAttribute));

    /// <summary>Returns whether its values are files or folders that are read.</summary>
    /// <param name="beside">The settings it stands among.</param>
    public bool IsInputPath(ConfigMap beside) =>
        Property.GetCustomAttribute<InputPathAttribute>() is { } attribute
        && (attribute.Unless is not { } other || beside[KeyOf(other)] is null);

    /// <summary>True where the option may stand on the command line without a value, which then means <c>true</c>.</summary>
    public bool IsFlagOrValue => Property.IsDefined(typeof(FlagOrValueAttribute));

    /// <summary>Key of the setting that this one takes the place of; null for none.</summary>
    public string? InPlaceOf => Property.GetCustomAttribute<InPlaceOfAttribute>() is { Other: var other } ? KeyOf(other) : null;

    public bool IsOperational => Property.IsDefined(typeof(OperationalAttribute));

    public bool IsPositional => Property.IsDefined(typeof(PositionalAttribute));
}

/// <summary>The settings of an options record, read from its properties.</summary>
sealed class OptionSchema
{
    // By name: a charting library declares a public copy of the attribute, so that its type cannot be named here.
    const string RequiredMember = "System.Runtime.CompilerServices.RequiredMemberAttribute";
    static readonly ConcurrentDictionary<Type, OptionSchema> Known = new();

    OptionSchema(Type type)
    {
        var defaults = RuntimeHelpers.GetUninitializedObject(type);
        if (type.GetConstructor(Type.EmptyTypes) is { } constructor)
        {
            defaults = constructor.Invoke(null);
        }

        var nullability = new NullabilityInfoContext();
        Properties =
        [
            .. type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                .Where(property => property.SetMethod is { IsPublic: true } && property.GetIndexParameters().Length == 0)
                .Select(property => new OptionProperty(
                    property.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? OptionProperty.KeyOf(property.Name),
                    property,
                    property.CustomAttributes.Any(attribute => attribute.AttributeType.FullName == RequiredMember),
                    nullability.Create(property).WriteState == NullabilityState.Nullable,
                    property.GetValue(defaults)
                )),
        ];
    }

    public IReadOnlyList<OptionProperty> Properties { get; }

    public IReadOnlyCollection<string> Keys => [.. Properties.Select(property => property.Key)];

    public OptionProperty? this[string key] => Properties.FirstOrDefault(property => property.Key == key);

    public static OptionSchema Of(Type type) => Known.GetOrAdd(type, t => new OptionSchema(t));
}
