namespace TraceDistill.Data.Options;

/// <summary>Marks an options record that may be written as one value: that of the named property, the others at their defaults.</summary>
/// <param name="property">Name of the property.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = true)]
public sealed class ShorthandAttribute(string property) : Attribute
{
    /// <summary>Name of the property.</summary>
    public string Property => property;
}
