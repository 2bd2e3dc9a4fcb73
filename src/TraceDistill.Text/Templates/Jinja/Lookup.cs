namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Results of <c>a.b</c>, <c>a[b]</c> and <c>a[b:c]</c>. What is not there is <see cref="Undefined"/>.</summary>
static class Lookup
{
    public static object? Attribute(object? target, string name) =>
        target switch
        {
            Undefined undefined => throw new JinjaFailure($"'{undefined.Name}' is undefined, so it has no '{name}'"),
            JinjaMap map => JinjaMethods.OfMap(map, name) ?? map.Find(name),
            string text => (object?)JinjaMethods.OfText(text, name) ?? new Undefined(name),
            List<object?> list => (object?)JinjaMethods.OfList(list, name) ?? new Undefined(name),
            JinjaNamespace space => space.TryGetValue(name, out var value) ? value : new Undefined(name),
            LoopVariable loop => loop.Attribute(name),
            _ => new Undefined(name),
        };

    public static object? Item(object? target, object? key) =>
        (target, key) switch
        {
            (Undefined undefined, _) => throw new JinjaFailure($"'{undefined.Name}' is undefined, so it has no items"),
            (JinjaMap map, _) when map.Find(key) is var value and not Undefined => value,
            (List<object?> list, long index) => At(list, index),
            (string text, long index) => CharacterAt(text, index),
            (_, string name) => Attribute(target, name),
            _ => new Undefined(key is string or long ? JinjaValues.ToText(key) : JinjaValues.TypeName(key)),
        };

    static object? At(List<object?> items, long index)
    {
        var position = index < 0 ? index + items.Count : index;
        return position >= 0 && position < items.Count ? items[(int)position] : new Undefined($"item {index}");
    }

    /// <summary>Counts characters, of which some are two units of the string.</summary>
    static object CharacterAt(string text, long index)
    {
        var position = index < 0 ? index + PythonText.Length(text) : index;
        for (var i = 0; i < text.Length && position >= 0; i++, position--)
        {
            var length = char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]) ? 2 : 1;
            if (position == 0)
            {
                return text.Substring(i, length);
            }
            i += length - 1;
        }

        return new Undefined($"item {index}");
    }

    /// <summary>Python's slice: bounds may be negative, absent or too large.</summary>
    public static object? Slice(object? target, long? start, long? stop, long? step)
    {
        if (target is Undefined)
        {
            return target;
        }
        if (target is not (string or List<object?>))
        {
            throw new JinjaFailure($"{JinjaValues.TypeName(target)} cannot be sliced");
        }
        var items = JinjaValues.Items(target);
        var stride = Math.Clamp(step ?? 1, -items.Count - 1L, items.Count + 1L);
        if (stride == 0)
        {
            throw new JinjaFailure("the step of a slice cannot be zero");
        }
        var (lowest, highest) = stride > 0 ? (0, items.Count) : (-1, items.Count - 1);
        var first = Clamp(start, stride > 0 ? lowest : highest);
        var end = Clamp(stop, stride > 0 ? highest : lowest);
        var slice = new List<object?>();
        for (var i = first; stride > 0 ? i < end : i > end; i += stride)
        {
            slice.Add(items[(int)i]);
        }
        return target is string ? string.Concat(slice) : slice;

        long Clamp(long? bound, long absent) =>
            bound is not { } value ? absent : Math.Clamp(value < 0 ? value + items.Count : value, lowest, highest);
    }
}
