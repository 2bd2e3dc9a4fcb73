namespace TraceDistill.Teachers.Wire;

/// <summary>A response that is not what the chat-completions protocol promises; the message says what is wrong and where.</summary>
class WireFormatException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The response is not whole (a cut connection, a server that gave up midway): asking again can help.</summary>
sealed class TruncatedResponseException(string message, Exception? inner = null) : WireFormatException(message, inner);

/// <summary>A server says in the middle of a stream that it failed.</summary>
sealed class StreamedErrorException(ErrorBody error) : Exception("the stream ended in an error")
{
    public ErrorBody Error => error;
}
