namespace TraceDistill.Cli.Binding;

/// <summary>A setting's value as it was written, with its place, before it has a type.</summary>
abstract record ConfigNode(SourceLocation Location)
{
    /// <summary>The place to name where the value is wrong.</summary>
    public virtual SourceLocation Origin => Location;
}

/// <summary>One value; <see cref="Text"/> is null where a key stands without one (<c>key:</c>, <c>~</c> or <c>null</c>).</summary>
/// <param name="IsQuoted">True where it is text whatever it looks like; only where a value may be of any type does that matter.</param>
sealed record ConfigScalar(SourceLocation Location, string? Text, bool IsQuoted = false) : ConfigNode(Location)
{
    /// <summary>The option of the command line that gave a parameter in it its value; null where none did.</summary>
    public SourceLocation? Override { get; init; }

    public override SourceLocation Origin => Override ?? Location;
}

/// <summary>A sequence of values.</summary>
sealed record ConfigList(SourceLocation Location, IReadOnlyList<ConfigNode> Items) : ConfigNode(Location);

/// <summary>One key of a map.</summary>
sealed record ConfigEntry(string Key, SourceLocation Location, ConfigNode Value);

/// <summary>Keys with values, in the order written; no key occurs twice.</summary>
sealed record ConfigMap(SourceLocation Location, IReadOnlyList<ConfigEntry> Entries) : ConfigNode(Location)
{
    /// <summary>The value of <paramref name="key"/>, or null.</summary>
    public ConfigNode? this[string key] => Entries.FirstOrDefault(entry => entry.Key == key)?.Value;

    /// <summary>A map without some keys.</summary>
    public ConfigMap Without(params ReadOnlySpan<string> keys)
    {
        var dropped = keys.ToArray();
        return this with { Entries = [.. Entries.Where(entry => !dropped.Contains(entry.Key))] };
    }

    /// <summary>This map with the entries of <paramref name="over"/> added or, where the key is the same, put in their place.</summary>
    public ConfigMap MergedWith(ConfigMap over) =>
        this with
        {
            Entries =
            [
                .. Entries.Select(entry => over.Entries.FirstOrDefault(other => other.Key == entry.Key) ?? entry),
                .. over.Entries.Where(other => this[other.Key] is null),
            ],
        };
}
