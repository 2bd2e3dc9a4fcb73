namespace TraceDistill.Text.Templates.Jinja;

// Values of a template: null (none), bool, long, double, string, List<object?>, and the types of this file. Nothing else gets in, so a
// template reaches no other .NET object.

/// <summary>
/// Stand-in for a variable, item or attribute that is not there: prints as nothing, is false, and fails when looked into.
/// </summary>
sealed record Undefined(string Name);

/// <summary>A mapping, in order of insertion.</summary>
sealed class JinjaMap : OrderedDictionary<object, object?>
{
    public object? Find(object? key) => key is not null && TryGetValue(key, out var value) ? value : new Undefined($"{key}");
}

/// <summary><c>namespace()</c>: the only thing whose attributes a template may set.</summary>
sealed class JinjaNamespace : Dictionary<string, object?>;

/// <summary>Result of a lazy filter: can be gone through but neither counted nor indexed, and is true even when empty.</summary>
sealed record LazySequence(IReadOnlyList<object?> Items);

/// <summary>Something that can be called: a function, a macro or a method bound to its value.</summary>
delegate object? JinjaFunction(JinjaContext context, Arguments arguments);

/// <summary>The arguments of a call.</summary>
sealed class Arguments(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
{
    public static Arguments None { get; } = new([], new Dictionary<string, object?>());

    public IReadOnlyList<object?> Positional => positional;

    public IReadOnlyDictionary<string, object?> Named => named;

    /// <summary>The arguments without the first few positional ones.</summary>
    public Arguments Skip(int count) => new([.. positional.Skip(count)], named);

    /// <summary>The values of the parameters, <see cref="Undefined"/> for those not given.</summary>
    public object?[] Bind(params ReadOnlySpan<string> parameters)
    {
        if (positional.Count > parameters.Length)
        {
            throw new JinjaFailure($"takes at most {parameters.Length} arguments, not {positional.Count}");
        }
        var values = new object?[parameters.Length];
        var used = 0;
        for (var i = 0; i < values.Length; i++)
        {
            var isNamed = named.TryGetValue(parameters[i], out var value);
            if (isNamed && i < positional.Count)
            {
                throw new JinjaFailure($"the argument '{parameters[i]}' is given twice");
            }
            used += isNamed ? 1 : 0;
            values[i] =
                i < positional.Count ? positional[i]
                : isNamed ? value
                : new Undefined(parameters[i]);
        }

        return used == named.Count ? values : throw new JinjaFailure($"has no parameter '{string.Join("', '", named.Keys)}'");
    }

    /// <summary>The value of the only parameter, <see cref="Undefined"/> when not given.</summary>
    public object? Single(string parameter) => Bind(parameter)[0];
}
