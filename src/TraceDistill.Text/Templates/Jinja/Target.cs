namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Target that <c>set</c> and <c>for</c> assign to.</summary>
abstract record Target
{
    public abstract void Assign(JinjaContext context, object? value);
}

sealed record NameTarget(string Name) : Target
{
    public override void Assign(JinjaContext context, object? value) => context.Set(Name, value);
}

/// <summary><c>a.b</c>, where <c>a</c> is a namespace.</summary>
sealed record AttributeTarget(string Name, string Attribute) : Target
{
    public override void Assign(JinjaContext context, object? value)
    {
        if (context.Find(Name) is not JinjaNamespace space)
        {
            throw new JinjaFailure($"'{Name}' is not a namespace, so '{Name}.{Attribute}' cannot be set");
        }
        space[Attribute] = value;
    }
}

/// <summary><c>a, b</c></summary>
sealed record ListTarget(IReadOnlyList<Target> Targets) : Target
{
    public override void Assign(JinjaContext context, object? value)
    {
        var items = JinjaValues.Items(value);
        if (items.Count != Targets.Count)
        {
            throw new JinjaFailure($"{items.Count} values do not fit {Targets.Count} names");
        }
        foreach (var (index, target) in Targets.Index())
        {
            target.Assign(context, items[index]);
        }
    }
}
