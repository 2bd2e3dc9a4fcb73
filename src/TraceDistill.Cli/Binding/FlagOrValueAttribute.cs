namespace TraceDistill.Cli.Binding;

/// <summary>Marks a property whose option may stand on the command line without a value, which then is <c>true</c>.</summary>
[AttributeUsage(AttributeTargets.Property)]
sealed class FlagOrValueAttribute : Attribute;
