using TraceDistill.Core.Generation;

namespace TraceDistill.Core.Evaluation;

/// <summary>How answers are found in what a model generated, and when two of them are the same.</summary>
/// <param name="Read">The final answer of a generation, or null where it gives none.</param>
/// <param name="AreEqual">Whether an answer (second) equals the expected or another answer (first).</param>
public sealed record AnswerRules(Func<GenerationResult, string?> Read, Func<string, string, bool> AreEqual);
