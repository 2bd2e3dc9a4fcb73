namespace TraceDistill.Cli.Commands;

/// <summary>Names in a line, of which a matrix may make hundreds.</summary>
static class ShortList
{
    const int Most = 5;

    public static string Of(IEnumerable<string> names) =>
        names.ToList() is var all && all.Count > Most
            ? $"{string.Join(", ", all.Take(Most - 1))} and {all.Count - Most + 1} more"
            : string.Join(", ", all);
}
