using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Pool;

/// <summary>A stretch of a generation that is read while it comes, or at its end the whole.</summary>
/// <param name="Reasoning">More of the reasoning; null for none.</param>
/// <param name="Answer">More of the answer; null for none.</param>
/// <param name="Whole">The whole generation with logprobs and usage, in the last piece; null in all others.</param>
public readonly record struct GenerationPiece(string? Reasoning, string? Answer, GenerationResult? Whole);
