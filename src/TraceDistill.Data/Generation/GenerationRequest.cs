using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Generation;

/// <summary>One sample to be generated.</summary>
/// <param name="Id">Names the request in messages and logs; for collection the trace's content hash.</param>
/// <param name="Messages">The conversation so far; the answer is the next assistant turn.</param>
/// <param name="Sampling">How tokens are drawn.</param>
public sealed record GenerationRequest(string Id, IReadOnlyList<ChatMessage> Messages, SamplingSettings Sampling)
{
    /// <summary>
    /// Path of a picture whose place in the conversation is <see cref="Pictures.Picture.Place"/>, for a model that looks at one.
    /// </summary>
    /// <value>Null: the conversation is text.</value>
    public string? Picture { get; init; }
}
