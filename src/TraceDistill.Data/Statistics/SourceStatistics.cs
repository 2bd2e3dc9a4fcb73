namespace TraceDistill.Data.Statistics;

/// <summary>The part of a data set that comes from one problem family.</summary>
/// <param name="Count">Traces.</param>
/// <param name="Tokens">Generated tokens.</param>
/// <param name="Correct">Traces whose verdict is <c>correct</c>.</param>
public sealed record SourceStatistics(long Count, long Tokens, long Correct);
