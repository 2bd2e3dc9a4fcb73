namespace TraceDistill.Teachers.Wire;

/// <summary>What one event of a stream adds to the text.</summary>
/// <param name="Content">To the answer, or where the server does not tell the reasoning apart, to all of it; null for nothing.</param>
/// <param name="Reasoning">To the reasoning; null for nothing.</param>
readonly record struct StreamedText(string? Content, string? Reasoning);
