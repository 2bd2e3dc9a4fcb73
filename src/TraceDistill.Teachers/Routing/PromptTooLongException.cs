using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Routing;

/// <summary>
/// The teacher's context cannot hold this prompt and its longest answer: the same request can never succeed, while others may.
/// </summary>
sealed class PromptTooLongException(string message, Exception? inner = null) : InvalidInputException(message, inner);
