using System.Globalization;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>A filter, which stands behind <c>|</c>.</summary>
delegate object? JinjaFilter(JinjaContext context, object? value, Arguments arguments);

/// <summary>The filters, by name. Those that pick from sequences are in <see cref="SequenceFilters"/>.</summary>
static class JinjaFilters
{
    public static IReadOnlyDictionary<string, JinjaFilter> All { get; } =
        new Dictionary<string, JinjaFilter>(SequenceFilters.All, StringComparer.Ordinal)
        {
            ["tojson"] = ToJson,
            ["string"] = (context, value, arguments) => Plain(arguments, context.Text(value)),
            ["int"] = ToInteger,
            ["float"] = ToFloat,
            ["abs"] = (_, value, arguments) =>
                Plain(arguments, value is double number ? (object)Math.Abs(number) : Math.Abs(JinjaValues.ToInteger(value))),
            ["default"] = Default,
            ["d"] = Default,
            ["length"] = (_, value, arguments) => Plain(arguments, JinjaValues.Length(value)),
            ["count"] = (_, value, arguments) => Plain(arguments, JinjaValues.Length(value)),
            ["trim"] = (context, value, arguments) =>
                Trim(context, context.Text(value), arguments.Single("chars") as string, start: true, end: true),
            ["upper"] = (context, value, arguments) => Plain(arguments, Paid(context, value).ToUpperInvariant()),
            ["lower"] = (context, value, arguments) => Plain(arguments, Paid(context, value).ToLowerInvariant()),
            ["title"] = (context, value, arguments) => Plain(arguments, PythonText.Title(Paid(context, value))),
            ["capitalize"] = (context, value, arguments) => Plain(arguments, PythonText.Capitalize(Paid(context, value))),
            ["safe"] = (context, value, arguments) => Plain(arguments, context.Text(value)),
            ["replace"] = (context, value, arguments) => Replace(context, context.Text(value), arguments),
            ["join"] = (context, value, arguments) => JoinFilter(context, value, arguments),
        };

    /// <summary>Replaces every occurrence, or the first few when a count is given.</summary>
    public static string Replace(JinjaContext context, string text, Arguments arguments)
    {
        var values = arguments.Bind("old", "new", "count");
        var (old, replacement) = (JinjaValues.RequireText(values[0]), JinjaValues.RequireText(values[1]));
        var most = values[2] is null or Undefined ? -1 : JinjaValues.ToInteger(values[2]);
        if (old.Length == 0)
        {
            throw new JinjaFailure("replace needs a text to look for that is not empty");
        }
        context.Charge(text.Length);
        context.ChargeSearch(text, old);
        var count = PythonText.Count(text, old, most);
        context.Charge(replacement.Length * count);
        if (most < 0)
        {
            return text.Replace(old, replacement, StringComparison.Ordinal);
        }
        context.ChargeItems(count);
        return string.Join(replacement, PythonText.Split(text, old, most));
    }

    public static string Join(JinjaContext context, IEnumerable<object?> items, string separator)
    {
        var texts = items.Select(context.Text).ToList();
        context.Charge(texts.Sum(text => (long)text.Length + separator.Length));
        return string.Join(separator, texts);
    }

    static string JoinFilter(JinjaContext context, object? value, Arguments arguments)
    {
        var values = arguments.Bind("d", "attribute");
        var items = context.Items(value);
        return Join(
            context,
            values[1] is Undefined ? items : items.Select(item => Lookup.Item(item, context.ChargeScan(values[1]))),
            context.Text(values[0])
        );
    }

    /// <summary>Trims a text, paying for it where characters to be removed are named: each is looked for at each place.</summary>
    public static string Trim(JinjaContext context, string text, string? characters, bool start, bool end)
    {
        context.Charge((long)text.Length * (characters?.Length ?? 0) / 16);
        return PythonText.Trim(text, characters, start, end);
    }

    /// <summary>The text of a value that is about to be written again.</summary>
    static string Paid(JinjaContext context, object? value)
    {
        var text = context.Text(value);
        context.Charge(text.Length);
        return text;
    }

    static object? Plain(Arguments arguments, object? value)
    {
        arguments.Bind();
        return value;
    }

    static string ToJson(JinjaContext context, object? value, Arguments arguments)
    {
        var values = arguments.Bind("indent", "ensure_ascii", "separators", "sort_keys");
        var indent = values[0] is null or Undefined ? -1 : (int)Math.Min(JinjaValues.ToInteger(values[0]), 16);
        var separators = values[2] is List<object?> { Count: 2 } pair
            ? pair.Select(JinjaValues.RequireText).ToArray()
            : [indent < 0 ? ", " : ",", ": "];
        return new PythonJson(
            context,
            indent,
            separators[0],
            separators[1],
            JinjaValues.IsTrue(values[1]),
            JinjaValues.IsTrue(values[3])
        ).Write(value);
    }

    static object? Default(JinjaContext context, object? value, Arguments arguments)
    {
        var values = arguments.Bind("default_value", "boolean");
        return value is Undefined || (JinjaValues.IsTrue(values[1]) && !JinjaValues.IsTrue(value))
            ? values[0] is Undefined
                ? ""
                : values[0]
            : value;
    }

    static object? ToInteger(JinjaContext context, object? value, Arguments arguments)
    {
        var fallback = arguments.Single("default") is var given and not Undefined ? given : 0L;
        return value switch
        {
            double number => double.IsFinite(number) ? checked((long)number) : fallback,
            string text when long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) => number,
            string text
                when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) =>
                checked((long)number),
            long or bool => JinjaValues.ToInteger(value),
            _ => fallback,
        };
    }

    static object? ToFloat(JinjaContext context, object? value, Arguments arguments)
    {
        var fallback = arguments.Single("default") is var given and not Undefined ? given : 0.0;
        return value switch
        {
            string text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : fallback,
            _ when JinjaValues.IsNumber(value) => JinjaValues.ToDouble(value),
            _ => fallback,
        };
    }
}
