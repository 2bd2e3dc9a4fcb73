namespace TraceDistill.Teachers.Wire;

/// <summary>A response that is not what the chat-completions protocol promises; the message says what is wrong and where.</summary>
sealed class WireFormatException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A server says within a response that it failed, under a status that promised success.</summary>
sealed class ReportedErrorException(ErrorBody error) : Exception("the response is an error")
{
    public ErrorBody Error => error;
}
