namespace TraceDistill.Data.Problems.Files;

/// <summary>Where a record stands, put into words only where a message needs them.</summary>
/// <param name="Path">The file.</param>
/// <param name="Unit">Name of the things counted: <c>line</c> or <c>row</c>.</param>
/// <param name="Number">Which one, from 1.</param>
readonly record struct RowPlace(string Path, string Unit, int Number)
{
    /// <summary>Such as <c>line 7</c>.</summary>
    public string WithinFile => $"{Unit} {Number}";

    public override string ToString() => $"{Path}, {WithinFile}";
}
