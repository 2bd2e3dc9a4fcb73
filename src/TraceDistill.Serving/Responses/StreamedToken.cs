using TraceDistill.Data.Generation;

namespace TraceDistill.Serving.Responses;

/// <summary>One event of a stream.</summary>
/// <param name="Choice">Which choice it belongs to.</param>
/// <param name="Text">Text that became certain; may be empty.</param>
/// <param name="Tokens">The token (one row), with its logprobs where those were asked for; null for an event without a token.</param>
/// <param name="FinishReason">Set on the choice's last event.</param>
/// <param name="IsPrompt">True where text and tokens are the echoed prompt's; its first token has no row.</param>
readonly record struct StreamedToken(int Choice, string Text, TokenLogprobs? Tokens, string? FinishReason, bool IsPrompt = false);
