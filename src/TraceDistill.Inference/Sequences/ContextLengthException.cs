using TraceDistill.Text.Errors;

namespace TraceDistill.Inference.Sequences;

/// <summary>A prompt, or what is to follow it, is longer than the model or its cache can hold.</summary>
public sealed class ContextLengthException(string message) : InvalidInputException(message);
