namespace TraceDistill.Cli.Binding;

/// <summary>Where a setting was written: a place in a file, or an option of the command line.</summary>
/// <param name="Source">The file's path as the user gave it, or the option's name such as <c>--max-steps</c>.</param>
/// <param name="Line">From 1; 0 for the command line.</param>
/// <param name="Column">From 1; 0 for the command line.</param>
readonly record struct SourceLocation(string Source, long Line = 0, long Column = 0)
{
    /// <summary>The command line as a whole: the place of options that were not given.</summary>
    public static SourceLocation CommandLine { get; } = new("the command line");

    public override string ToString() => Line == 0 ? Source : $"{Source}:{Line}:{Column}";
}
