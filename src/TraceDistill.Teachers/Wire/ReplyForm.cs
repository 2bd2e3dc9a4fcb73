using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Wire;

/// <summary>Facts about a server's responses that are known before they are read.</summary>
/// <param name="ListsEndOfSequence">
/// Whether the token that ends a generation is among those with logprobs; where not, usage may count one token more.
/// </param>
/// <param name="OpensThinking">Whether prompts end inside the reasoning, so that a generation has no opening mark.</param>
/// <param name="Markers">What the model puts around its reasoning; null where that is not known.</param>
readonly record struct ReplyForm(bool ListsEndOfSequence, bool OpensThinking, ReasoningMarkers? Markers = null);
