namespace TraceDistill.Text.Templates.Jinja;

/// <summary>The methods of strings, lists and mappings, under their Python names. A name that is none gives null.</summary>
static class JinjaMethods
{
    public static JinjaFunction? OfText(string text, string name) =>
        name switch
        {
            "split" => (context, arguments) => Split(context, text, arguments),
            "strip" => (context, arguments) => Trim(context, text, arguments, start: true, end: true),
            "lstrip" => (context, arguments) => Trim(context, text, arguments, start: true, end: false),
            "rstrip" => (context, arguments) => Trim(context, text, arguments, start: false, end: true),
            "startswith" => (context, arguments) =>
                Affixes(context, text, arguments.Single("prefix")).Any(affix => text.StartsWith(affix, StringComparison.Ordinal)),
            "endswith" => (context, arguments) =>
                Affixes(context, text, arguments.Single("suffix")).Any(affix => text.EndsWith(affix, StringComparison.Ordinal)),
            "replace" => (context, arguments) => JinjaFilters.Replace(context, text, arguments),
            "upper" => (context, arguments) => NoArguments(arguments, Paid(context, text).ToUpperInvariant()),
            "lower" => (context, arguments) => NoArguments(arguments, Paid(context, text).ToLowerInvariant()),
            "title" => (context, arguments) => NoArguments(arguments, PythonText.Title(Paid(context, text))),
            "capitalize" => (context, arguments) => NoArguments(arguments, PythonText.Capitalize(Paid(context, text))),
            "find" => (context, arguments) => Find(context, text, JinjaValues.RequireText(arguments.Single("sub"))),
            "join" => (context, arguments) => JinjaFilters.Join(context, context.Items(arguments.Single("iterable")), text),
            _ => null,
        };

    public static JinjaFunction? OfList(List<object?> list, string name) =>
        name switch
        {
            "append" => (context, arguments) =>
            {
                // A copy, so that no list comes to contain itself.
                list.Add(Detach(context.ChargeWhole(arguments.Single("object"))));
                return null;
            },
            _ => null,
        };

    public static JinjaFunction? OfMap(JinjaMap map, string name) =>
        name switch
        {
            "get" => (context, arguments) =>
            {
                var values = arguments.Bind("key", "default");
                context.ChargeScan(values[0]);
                return map.Find(values[0]) is var value and not Undefined ? value
                    : values[1] is Undefined ? null
                    : values[1];
            },
            "items" => (context, arguments) => NoArguments(arguments, Items(context, map)),
            "keys" => (context, arguments) => NoArguments(arguments, context.Items(map)),
            "values" => (context, arguments) => NoArguments(arguments, Values(context, map)),
            _ => null,
        };

    /// <summary>The entries of a mapping as lists of key and value.</summary>
    public static List<object?> Items(JinjaContext context, JinjaMap map)
    {
        context.ChargeItems(3L * map.Count);
        return [.. map.Select(entry => new List<object?> { entry.Key, entry.Value })];
    }

    static List<object?> Values(JinjaContext context, JinjaMap map)
    {
        context.ChargeItems(map.Count);
        return [.. map.Values];
    }

    /// <summary>A text that is about to be written again.</summary>
    static string Paid(JinjaContext context, string text)
    {
        context.Charge(text.Length);
        return text;
    }

    static object? Detach(object? value)
    {
        if (value is List<object?> list)
        {
            return list.Select(Detach).ToList();
        }
        if (value is not JinjaMap map)
        {
            return value;
        }
        var copy = new JinjaMap();
        foreach (var (key, item) in map)
        {
            copy[key] = Detach(item);
        }
        return copy;
    }

    static List<object?> Split(JinjaContext context, string text, Arguments arguments)
    {
        var values = arguments.Bind("sep", "maxsplit");
        var separator = values[0] is null or Undefined ? null : JinjaValues.RequireText(values[0]);
        if (separator is "")
        {
            throw new JinjaFailure("split needs a separator that is not empty");
        }
        var most = values[1] is Undefined ? -1 : JinjaValues.ToInteger(values[1]);
        context.Charge(text.Length);
        if (separator is not null)
        {
            context.ChargeSearch(text, separator);
        }
        context.ChargeItems(separator is null ? PythonText.CountWords(text) : 1 + PythonText.Count(text, separator, most));
        return PythonText.Split(text, separator, most);
    }

    static string Trim(JinjaContext context, string text, Arguments arguments, bool start, bool end) =>
        JinjaFilters.Trim(context, text, arguments.Single("chars") as string, start, end);

    /// <summary>Texts that another may begin or end with, each paid for before it is compared.</summary>
    static IEnumerable<string> Affixes(JinjaContext context, string text, object? value)
    {
        foreach (var affix in value is List<object?> list ? list : [value])
        {
            context.ChargeComparison(text, affix);
            yield return JinjaValues.RequireText(affix);
        }
    }

    static long Find(JinjaContext context, string text, string part)
    {
        context.ChargeSearch(text, part);
        return text.IndexOf(part, StringComparison.Ordinal) is var index and >= 0 ? PythonText.Length(text[..index]) : -1;
    }

    static object? NoArguments(Arguments arguments, object? value)
    {
        arguments.Bind();
        return value;
    }
}
