namespace TraceDistill.Data.Generation;

/// <summary>Why an answer has no logprobs although they were asked for.</summary>
/// <param name="Reason">The server's fault, as the rest of a sentence that its name begins: <c>returned no logprobs</c>.</param>
/// <param name="IsPartial">
/// True where logprobs were given and only a part is missing, such as tokens that are parts of
/// characters: other answers of the same server may be whole.
/// </param>
public sealed record LogprobLack(string Reason, bool IsPartial);
