namespace TraceDistill.TestServer.Faults;

/// <summary>Faults of one response.</summary>
public enum Fault
{
    None,

    /// <summary>429 without a hint when to come back.</summary>
    TooManyRequests,

    /// <summary>429 with Retry-After.</summary>
    TooManyRequestsRetryAfter,

    /// <summary>500 with the server's own error body.</summary>
    InternalError,

    /// <summary>502 with a proxy's HTML page.</summary>
    BadGateway,

    /// <summary>503 with the server's own error body.</summary>
    Unavailable,

    /// <summary>Status 200 over an error body, or over a stream that an error ends.</summary>
    ErrorInSuccess,

    /// <summary>The connection is cut before the first byte.</summary>
    ResetBeforeResponse,

    /// <summary>The connection is cut in the middle of the body.</summary>
    ResetDuringBody,

    /// <summary>The connection is cut after the last byte of the body, but before the mark that says so.</summary>
    ResetAfterBody,

    /// <summary>A whole HTTP response around half of the JSON.</summary>
    TruncatedJson,

    /// <summary>JSON, but no completion.</summary>
    WrongShape,

    /// <summary>A logprob is NaN, as Python writes it.</summary>
    NotANumber,

    /// <summary>No logprobs, though they were asked for.</summary>
    MissingLogprobs,

    /// <summary>The best alternative of each token stands there twice.</summary>
    DuplicatedAlternatives,

    /// <summary>Alternatives with the worst first. Harmless.</summary>
    UnsortedAlternatives,

    /// <summary>Bytes that are no UTF-8 within the text.</summary>
    InvalidUtf8,

    /// <summary>Content-Length promises more than comes.</summary>
    ContentLengthTooLong,

    /// <summary>Content-Encoding says gzip, the bytes are none.</summary>
    GzipGarbage,

    /// <summary>No answer until the client gives up.</summary>
    Stall,

    /// <summary>The whole answer in a hundred pieces. Harmless.</summary>
    SlowDrip,

    /// <summary>A body of a hundred megabytes.</summary>
    HugeBody,

    /// <summary>Events in the wrong order; where no stream was asked for, besides one that nobody wanted.</summary>
    OutOfOrderEvents,

    /// <summary>A finish reason that no document names.</summary>
    UnknownFinishReason,

    /// <summary>The answer of a model of another name.</summary>
    OtherModel,
}
