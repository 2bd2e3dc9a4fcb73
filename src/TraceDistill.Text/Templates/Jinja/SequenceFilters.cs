namespace TraceDistill.Text.Templates.Jinja;

/// <summary>The filters that pick from sequences, order or transform them.</summary>
static class SequenceFilters
{
    public static IReadOnlyDictionary<string, JinjaFilter> All { get; } =
        new Dictionary<string, JinjaFilter>(StringComparer.Ordinal)
        {
            ["list"] = (context, value, _) => Copy(context, context.Items(value)),
            ["first"] = (context, value, _) => context.Items(value) is { Count: > 0 } items ? items[0] : new Undefined("first item"),
            ["last"] = (context, value, _) => context.Items(value) is { Count: > 0 } items ? items[^1] : new Undefined("last item"),
            ["items"] = (context, value, _) =>
                value is Undefined ? new LazySequence([])
                : value is JinjaMap map ? new LazySequence(JinjaMethods.Items(context, map))
                : throw new JinjaFailure($"{JinjaValues.TypeName(value)} has no items"),
            ["reverse"] = (context, value, _) =>
                value is string text
                    ? string.Concat(context.Items(text).Reverse())
                    : new LazySequence(Copy(context, context.Items(value).Reverse())),
            ["sort"] = (context, value, arguments) => Sort(context, value, arguments),
            ["unique"] = (context, value, _) => new LazySequence(Unique(context, context.Items(value))),
            ["dictsort"] = (context, value, _) =>
                value is JinjaMap map ? SortByKey(context, map) : throw new JinjaFailure($"{JinjaValues.TypeName(value)} is not a mapping"),
            ["map"] = Map,
            ["select"] = (context, value, arguments) => Pick(context, value, arguments, byAttribute: false, keep: true),
            ["reject"] = (context, value, arguments) => Pick(context, value, arguments, byAttribute: false, keep: false),
            ["selectattr"] = (context, value, arguments) => Pick(context, value, arguments, byAttribute: true, keep: true),
            ["rejectattr"] = (context, value, arguments) => Pick(context, value, arguments, byAttribute: true, keep: false),
        };

    static List<object?> Copy(JinjaContext context, IEnumerable<object?> items)
    {
        var copy = items.ToList();
        context.ChargeItems(copy.Count);
        return copy;
    }

    static List<object?> Unique(JinjaContext context, IReadOnlyList<object?> items)
    {
        var (unique, keys) = (new List<object?>(), new List<object?>());
        foreach (var item in items)
        {
            context.Charge(item is string text ? text.Length : 0);
            var key = SortKey(item);
            if (!keys.Any(other => JinjaValues.Equals(context, other, key)))
            {
                unique.Add(item);
                keys.Add(key);
            }
        }

        return unique;
    }

    static List<object?> SortByKey(JinjaContext context, JinjaMap map)
    {
        context.ChargeSorting([.. map.Keys]);
        return
        [
            .. JinjaMethods
                .Items(context, map)
                .OrderBy(entry => SortKey(((List<object?>)entry!)[0]), Comparer<object?>.Create(JinjaValues.Compare)),
        ];
    }

    static List<object?> Sort(JinjaContext context, object? value, Arguments arguments)
    {
        var values = arguments.Bind("reverse", "case_sensitive", "attribute");
        var items = Copy(context, context.Items(value));
        context.ChargeSorting([.. items.Select(Plain)]);
        var caseSensitive = JinjaValues.IsTrue(values[1]);
        var comparer = Comparer<object?>.Create(JinjaValues.Compare);
        return [.. JinjaValues.IsTrue(values[0]) ? items.OrderByDescending(Key, comparer) : items.OrderBy(Key, comparer)];

        object? Plain(object? item) => values[2] is Undefined or null ? item : Attribute(context, item, values[2]);

        object? Key(object? item)
        {
            var key = Plain(item);
            return caseSensitive ? key : SortKey(key);
        }
    }

    /// <summary>Ordering ignores case unless asked otherwise.</summary>
    static object? SortKey(object? value) => value is string text ? text.ToLowerInvariant() : value;

    /// <summary><c>map('filter', …)</c> or <c>map(attribute='name')</c>.</summary>
    static LazySequence Map(JinjaContext context, object? value, Arguments arguments)
    {
        var items = context.Items(value);
        if (arguments.Positional.Count > 0)
        {
            var filter = JinjaFilters.All.GetValueOrDefault(JinjaValues.RequireText(arguments.Positional[0]))
                ?? throw new JinjaFailure($"there is no filter '{arguments.Positional[0]}'");
            return new LazySequence(context.ChargeWhole(Copy(context, items.Select(item => filter(context, item, arguments.Skip(1))))));
        }

        var values = arguments.Bind("attribute", "default");
        if (values[0] is Undefined)
        {
            throw new JinjaFailure("map needs the name of a filter or attribute='name'");
        }
        var found = items.Select(item => Attribute(context, item, values[0]) is var given and not Undefined ? given : values[1]);
        return new LazySequence(context.ChargeWhole(Copy(context, found)));
    }

    static LazySequence Pick(JinjaContext context, object? value, Arguments arguments, bool byAttribute, bool keep)
    {
        if (byAttribute && arguments.Positional.Count == 0)
        {
            throw new JinjaFailure("selectattr and rejectattr need the name of an attribute");
        }
        var rest = arguments.Skip(byAttribute ? 1 : 0);
        var test = Test(context, rest);
        return new LazySequence(
            Copy(
                context,
                context.Items(value).Where(item => test(byAttribute ? Attribute(context, item, arguments.Positional[0]) : item) == keep)
            )
        );
    }

    static Func<object?, bool> Test(JinjaContext context, Arguments arguments)
    {
        if (arguments.Positional.Count == 0)
        {
            return JinjaValues.IsTrue;
        }
        var name = JinjaValues.RequireText(arguments.Positional[0]);
        var test = JinjaTests.All.GetValueOrDefault(name) ?? throw new JinjaFailure($"there is no test '{name}'");
        return value => test(context, value, arguments.Skip(1));
    }

    /// <summary>An attribute may be a path with points, which is paid for: it is cut and looked up for each item.</summary>
    static object? Attribute(JinjaContext context, object? item, object? path) =>
        context.ChargePath(path) is string names
            ? names
                .Split('.')
                .Aggregate(item, (value, name) => Lookup.Item(value, long.TryParse(name, out var index) ? index : (object)name))
            : Lookup.Item(item, path);
}
