using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Wire;

/// <summary>Facts about a server's responses that are known before they are read.</summary>
/// <param name="ListsEndOfSequence">
/// True where the token that ends a generation is among those with logprobs; where not, usage may count one token more.
/// </param>
/// <param name="OpensThinking">True where prompts end inside the reasoning, so that a generation has no opening mark.</param>
/// <param name="Markers">Marks that the model puts around its reasoning; null where they are not known.</param>
readonly record struct ReplyForm(bool ListsEndOfSequence, bool OpensThinking, ReasoningMarkers? Markers = null);
