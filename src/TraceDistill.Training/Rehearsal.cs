using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;

namespace TraceDistill.Training;

/// <summary>
/// What a student has learned before, gone through beside what it learns now, so that it does not forget it: experience replay (Rolnick et
/// al., arXiv 1811.11682). At any time the old traces have their share of the tokens; they come in an order of their own, as often as it
/// takes, a curriculum aside.
/// </summary>
public sealed record Rehearsal
{
    [InputPath]
    [Description("Folders of trace shards, or Parquet files, of what the student has learned before")]
    public required IReadOnlyList<string> Traces { get; init; }

    /// <value>0.2.</value>
    [Range(0.001, 0.99, ErrorMessage = "must be from 0.001 to 0.99")]
    [Description("Fraction of the tokens of each step that are of these traces")]
    public double Share { get; init; } = 0.2;

    /// <value>All.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Use only the first N of these traces of each data set")]
    public int? MaxTraces { get; init; }
}
