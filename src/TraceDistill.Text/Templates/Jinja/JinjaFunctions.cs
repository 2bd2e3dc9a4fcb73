namespace TraceDistill.Text.Templates.Jinja;

/// <summary>The functions that every chat template can call.</summary>
static class JinjaFunctions
{
    const int MaxRange = 100_000;

    const int MaxMessage = 1_000;

    public static IReadOnlyDictionary<string, object?> All { get; } =
        new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["raise_exception"] = (JinjaFunction)((_, arguments) => throw new JinjaFailure(Message(arguments.Single("message")))),
            ["strftime_now"] = (JinjaFunction)((context, arguments) => Time(context, JinjaValues.RequireText(arguments.Single("format")))),
            ["range"] = (JinjaFunction)Range,
            ["dict"] = (JinjaFunction)Map,
            ["namespace"] = (JinjaFunction)Namespace,
        };

    /// <summary>A template's own words, as many as a message may have.</summary>
    static string Message(object? value) =>
        value switch
        {
            string { Length: > MaxMessage } text => text[..MaxMessage] + "…",
            List<object?> or JinjaMap => JinjaValues.TypeName(value),
            _ => JinjaValues.ToText(value),
        };

    static string Time(JinjaContext context, string format)
    {
        context.Charge((long)format.Length * Strftime.LongestField);
        return Strftime.Format(context.Time.GetLocalNow(), format);
    }

    static object Range(JinjaContext context, Arguments arguments)
    {
        var values = arguments.Bind("start", "stop", "step");
        var first = JinjaValues.ToInteger(values[0]);
        var (start, stop) = values[1] is Undefined ? (0, first) : (first, JinjaValues.ToInteger(values[1]));
        var step = values[2] is Undefined ? 1 : JinjaValues.ToInteger(values[2]);
        if (step == 0)
        {
            throw new JinjaFailure("the step of range() cannot be zero");
        }
        var numbers = new List<object?>();
        for (var number = start; step > 0 ? number < stop : number > stop; number = checked(number + step))
        {
            if (numbers.Count == MaxRange)
            {
                throw new JinjaFailure($"range() gives at most {MaxRange} numbers");
            }
            numbers.Add(number);
        }

        context.ChargeItems(numbers.Count);
        return numbers;
    }

    static object Map(JinjaContext context, Arguments arguments)
    {
        var map = new JinjaMap();
        if (new Arguments(arguments.Positional, new Dictionary<string, object?>()).Single("mapping") is JinjaMap source)
        {
            foreach (var (key, value) in source)
            {
                map[key] = value;
            }
        }

        foreach (var (name, value) in arguments.Named)
        {
            map[name] = value;
        }
        return context.ChargeWhole(map);
    }

    static object Namespace(JinjaContext context, Arguments arguments)
    {
        var space = new JinjaNamespace();
        foreach (var (key, value) in (JinjaMap)Map(context, arguments))
        {
            space[JinjaValues.RequireText(key)] = value;
        }
        return space;
    }
}
