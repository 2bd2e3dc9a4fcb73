namespace TraceDistill.Teachers.Batch;

/// <summary>Summary of what was written for a batch.</summary>
/// <param name="Files">Where: more than one where a batch service would not take all of it in one.</param>
/// <param name="Requests">Traces that are asked for in it.</param>
public sealed record BatchSummary(IReadOnlyList<string> Files, long Requests);
