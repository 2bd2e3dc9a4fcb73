namespace TraceDistill.Cli.Binding;

/// <summary>Marks the property that takes the command's argument, the value that stands without an option name.</summary>
[AttributeUsage(AttributeTargets.Property)]
sealed class PositionalAttribute : Attribute;
