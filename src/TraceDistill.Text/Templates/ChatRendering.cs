namespace TraceDistill.Text.Templates;

/// <summary>A conversation as a template writes it, and what of it the assistant said.</summary>
/// <param name="Text">The whole text.</param>
/// <param name="AssistantSpans">Where the assistant's own text stands in it, in order, without overlap: <c>Text[span]</c> is what a model would have generated there.</param>
public sealed record ChatRendering(string Text, IReadOnlyList<Range> AssistantSpans);
