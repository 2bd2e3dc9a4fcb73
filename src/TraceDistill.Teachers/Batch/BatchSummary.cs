namespace TraceDistill.Teachers.Batch;

/// <summary>What was written for a batch.</summary>
/// <param name="File">Where.</param>
/// <param name="Requests">Traces that are asked for in it.</param>
public sealed record BatchSummary(string File, long Requests);
