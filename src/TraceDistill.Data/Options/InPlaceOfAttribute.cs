namespace TraceDistill.Data.Options;

/// <summary>Marks an options property that says what another one says too: of the two only one may be given.</summary>
/// <param name="other">Name of the other property.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InPlaceOfAttribute(string other) : Attribute
{
    /// <summary>Name of the other property.</summary>
    public string Other => other;
}
