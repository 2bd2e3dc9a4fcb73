namespace TraceDistill.Core.Tokenization.Jinja;

/// <summary>The methods of strings, lists and mappings, under their Python names. A name that is none gives null.</summary>
static class JinjaMethods
{
    public static JinjaFunction? OfText(string text, string name) => name switch
    {
        "split" => (context, arguments) => Split(context, text, arguments),
        "strip" => (_, arguments) => Trim(text, arguments, start: true, end: true),
        "lstrip" => (_, arguments) => Trim(text, arguments, start: true, end: false),
        "rstrip" => (_, arguments) => Trim(text, arguments, start: false, end: true),
        "startswith" => (_, arguments) => Affixes(arguments.Single("prefix")).Any(affix => text.StartsWith(affix, StringComparison.Ordinal)),
        "endswith" => (_, arguments) => Affixes(arguments.Single("suffix")).Any(affix => text.EndsWith(affix, StringComparison.Ordinal)),
        "replace" => (context, arguments) => JinjaFilters.Replace(context, text, arguments),
        "upper" => (_, arguments) => NoArguments(arguments, text.ToUpperInvariant()),
        "lower" => (_, arguments) => NoArguments(arguments, text.ToLowerInvariant()),
        "title" => (_, arguments) => NoArguments(arguments, PythonText.Title(text)),
        "capitalize" => (_, arguments) => NoArguments(arguments, PythonText.Capitalize(text)),
        "find" => (_, arguments) => Find(text, JinjaValues.RequireText(arguments.Single("sub"))),
        "join" => (context, arguments) => JinjaFilters.Join(context, JinjaValues.Items(arguments.Single("iterable")), text),
        _ => null,
    };

    public static JinjaFunction? OfList(List<object?> list, string name) => name switch
    {
        "append" => (context, arguments) =>
        {
            // A copy, so that no list comes to contain itself.
            list.Add(Detach(context.ChargeWhole(arguments.Single("object"))));
            return null;
        },
        _ => null,
    };

    public static JinjaFunction? OfMap(JinjaMap map, string name) => name switch
    {
        "get" => (_, arguments) =>
        {
            var values = arguments.Bind("key", "default");
            return map.Find(values[0]) is var value and not Undefined ? value : values[1] is Undefined ? null : values[1];
        },
        "items" => (_, arguments) => NoArguments(arguments, Items(map)),
        "keys" => (_, arguments) => NoArguments(arguments, map.Keys.ToList<object?>()),
        "values" => (_, arguments) => NoArguments(arguments, map.Values.ToList()),
        _ => null,
    };

    /// <summary>The entries of a mapping as lists of key and value.</summary>
    public static List<object?> Items(JinjaMap map) => [.. map.Select(entry => new List<object?> { entry.Key, entry.Value })];

    static object? Detach(object? value)
    {
        if (value is List<object?> list)
            return list.Select(Detach).ToList();
        if (value is not JinjaMap map)
            return value;
        var copy = new JinjaMap();
        foreach (var (key, item) in map)
            copy[key] = Detach(item);
        return copy;
    }

    static List<object?> Split(JinjaContext context, string text, Arguments arguments)
    {
        var values = arguments.Bind("sep", "maxsplit");
        var separator = values[0] is null or Undefined ? null : JinjaValues.RequireText(values[0]);
        if (separator is "")
            throw new JinjaFailure("split needs a separator that is not empty");
        context.Charge(text.Length);
        var parts = PythonText.Split(text, separator, values[1] is Undefined ? -1 : JinjaValues.ToInteger(values[1]));
        context.ChargeItems(parts.Count);
        return parts;
    }

    static string Trim(string text, Arguments arguments, bool start, bool end) =>
        PythonText.Trim(text, arguments.Single("chars") is string characters ? characters : null, start, end);

    static IEnumerable<string> Affixes(object? value) => value is List<object?> list ? list.Select(JinjaValues.RequireText) : [JinjaValues.RequireText(value)];

    static long Find(string text, string part) =>
        text.IndexOf(part, StringComparison.Ordinal) is var index and >= 0 ? PythonText.Length(text[..index]) : -1;

    static object? NoArguments(Arguments arguments, object? value)
    {
        arguments.Bind();
        return value;
    }
}
