namespace TraceDistill.Teachers.Connector;

/// <summary>What a failed request says about the next one.</summary>
enum FailureScope
{
    /// <summary>Passing: the same request may succeed when sent again.</summary>
    Passing,

    /// <summary>This request can never succeed as it is; others may.</summary>
    Request,

    /// <summary>No request to this teacher can succeed until somebody does something.</summary>
    Teacher,
}

/// <summary>One attempt failed. The message is one line without key or prompt text.</summary>
sealed class TeacherRequestException(FailureScope scope, string message, Exception? inner = null) : Exception(message, inner)
{
    public FailureScope Scope { get; } = scope;

    /// <summary>How long the server asks to wait, where it said so.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>True where the server is alive and only has too much to do.</summary>
    public bool Overloaded { get; init; }

    /// <summary>True where not even a connection was made: what holds for this request holds for all.</summary>
    public bool NoConnection { get; init; }

    /// <summary>The HTTP status, or null where there was no response.</summary>
    public int? Status { get; init; }
}
