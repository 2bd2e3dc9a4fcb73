namespace TraceDistill.Teachers.Wire;

/// <summary>Text that one event of a stream adds.</summary>
/// <param name="Content">To the answer, or where the server does not tell the reasoning apart, to all of it; null for nothing.</param>
/// <param name="Reasoning">To the reasoning; null for nothing.</param>
readonly record struct StreamedText(string? Content, string? Reasoning);
