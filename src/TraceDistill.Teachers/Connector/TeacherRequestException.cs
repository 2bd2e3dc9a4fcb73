namespace TraceDistill.Teachers.Connector;

/// <summary>Scope of a failed request: what it says about the next one.</summary>
public enum FailureScope
{
    /// <summary>Passing: the same request may succeed when sent again.</summary>
    Passing,

    /// <summary>This request can never succeed as it is; others may.</summary>
    Request,

    /// <summary>No request to this teacher can succeed until somebody does something.</summary>
    Teacher,
}

/// <summary>One attempt at a teacher failed. The message is one line without key or prompt text.</summary>
public sealed class TeacherRequestException(FailureScope scope, string message, Exception? inner = null) : Exception(message, inner)
{
    public FailureScope Scope { get; } = scope;

    /// <summary>Time that the server asks to wait, where it said so and waiting helps.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>True where the server is alive and only has too much to do.</summary>
    public bool Overloaded { get; init; }

    /// <summary>True where not even a connection was made: what holds for this request holds for all.</summary>
    public bool NoConnection { get; init; }

    /// <summary>The HTTP status, or null where there was no response.</summary>
    public int? Status { get; init; }

    /// <summary>The server's own words, in which a key is blotted out; empty where it said nothing.</summary>
    public string ServerMessage { get; init; } = "";

    /// <summary>True where the server refused the alternatives that were asked for.</summary>
    public bool IsAboutLogprobs { get; init; }

    /// <summary>True where a filter in front of the model refused the prompt: that is an answer, not a fault.</summary>
    public bool IsFiltered { get; init; }

    /// <summary>True where the model's context cannot hold the prompt and the longest answer.</summary>
    public bool IsTooLong { get; init; }

    /// <summary>True where the server does not know the address or the model.</summary>
    public bool IsNotFound { get; init; }

    /// <summary>True where the answer had begun to come.</summary>
    public bool IsOfStream { get; init; }

    /// <summary>True where a text was to be scored and another one was, or with logprobs that are none.</summary>
    public bool IsMisaligned => InnerException is Scoring.ScoreMisalignedException;

    /// <summary>True where there was a response, but not one that can be read.</summary>
    public bool IsFormat => InnerException is Wire.WireFormatException or ResponseTooLargeException;
}
