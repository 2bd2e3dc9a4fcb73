namespace TraceDistill.Data.Options;

/// <summary>
/// Marks an options property that decides how a stage runs and not what comes out: changing it does not make a finished stage run again.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class OperationalAttribute : Attribute;
