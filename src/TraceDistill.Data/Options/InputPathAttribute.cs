namespace TraceDistill.Data.Options;

/// <summary>
/// Marks an options property whose value (or list items, or dictionary values) are files or folders that are read. In a recipe such a
/// value may name another stage or a file in it; anything else must exist before the first stage starts.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InputPathAttribute : Attribute
{
    /// <summary>The property beside which the value is no path but a name, such as a model's at an endpoint.</summary>
    public string? Unless { get; init; }
}
