namespace TraceDistill.Teachers.Wire;

/// <summary>A response that is not what the chat-completions protocol promises; the message says what is wrong and where.</summary>
/// <param name="truncated">True where the bytes are not JSON at all, as after a cut connection: asking again can help.</param>
sealed class WireFormatException(string message, bool truncated = false, Exception? inner = null) : Exception(message, inner)
{
    public bool Truncated { get; } = truncated;
}
