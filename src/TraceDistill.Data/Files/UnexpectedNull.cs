using System.Collections;
using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json.Nodes;

namespace TraceDistill.Data.Files;

/// <summary>
/// Finds null where types say that there is none: the serializer looks neither into lists and maps nor for what a file left out.
/// </summary>
static class UnexpectedNull
{
    static readonly ConcurrentDictionary<Type, IReadOnlyList<(PropertyInfo Property, NullabilityInfo Nullability)>> Known = new();

    /// <param name="value">An object that was read.</param>
    /// <returns>The place of the first, such as <c>Shards[2].File</c>; null where there is none.</returns>
    public static string? Find(object value) => In(value, nullability: null, "");

    /// <param name="nullability">Nullability of the type that the value was declared with.</param>
    static string? In(object? value, NullabilityInfo? nullability, string place) =>
        value switch
        {
            null => nullability is { ReadState: NullabilityState.Nullable } ? null : place,
            string or JsonNode => null,
            IDictionary map => First(map.Keys.Cast<object>().Select(key => (map[key], $"{place}[{key}]")), Last(nullability)),
            IEnumerable items => First(items.Cast<object?>().Select((item, index) => (item, $"{place}[{index}]")), Last(nullability)),
            _ when value.GetType() is { IsPrimitive: false, IsEnum: false } type && type.Assembly != typeof(object).Assembly => Properties(
                    type
                )
                .Select(known =>
                    In(known.Property.GetValue(value), known.Nullability, $"{place}{(place.Length > 0 ? "." : "")}{known.Property.Name}")
                )
                .FirstOrDefault(found => found is not null),
            _ => null,
        };

    static string? First(IEnumerable<(object? Value, string Place)> items, NullabilityInfo? nullability) =>
        items.Select(item => In(item.Value, nullability, item.Place)).FirstOrDefault(found => found is not null);

    /// <summary>Of the items of a list, or of the values of a map; null where nothing is known of it, and then none is null.</summary>
    static NullabilityInfo? Last(NullabilityInfo? nullability) =>
        nullability is { GenericTypeArguments: [.., var last] } ? last : nullability?.ElementType;

    /// <summary>Members read from a file; the rest is computed.</summary>
    static IReadOnlyList<(PropertyInfo Property, NullabilityInfo Nullability)> Properties(Type type) => Known.GetOrAdd(type, static type =>
        {
            var context = new NullabilityInfoContext();
            return
            [
                .. type.GetProperties()
                    .Where(property => property.CanWrite && property.GetIndexParameters().Length == 0)
                    .Select(property => (property, context.Create(property))),
            ];
        });
}
