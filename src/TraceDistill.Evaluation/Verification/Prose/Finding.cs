namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>A value that prose names.</summary>
/// <param name="IsCertain">True where the text asserts it as its result beyond mistake; else it is a guess of this reader.</param>
readonly record struct Finding(string Value, bool IsCertain);
