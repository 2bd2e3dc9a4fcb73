using System.Net.Http.Headers;
using System.Security.Authentication;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Connector;

/// <summary>Turns what went wrong on the wire into one line for the user and a scope for the retry policy.</summary>
static class TeacherFailures
{
    /// <summary>Who asks for more means another day, when a quota is renewed: nobody waits for that in front of a still screen.</summary>
    static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    /// <summary>Names that servers give the alternatives that they refuse.</summary>
    static readonly string[] LogprobFields = ["logprobs", "top_n_tokens", "n_probs"];

    static readonly string[] BusyWords = ["busy", "overload", "capacity", "queue", "too many"];

    /// <summary>The status that an error under status 200 would have had: its code, where that is one, and else a server's fault.</summary>
    public static int StatusOf(ErrorBody error) =>
        int.TryParse(error.Code, out var code) && code is >= 400 and < 600 ? code
        : error.Code is "invalid_request_error" or "BadRequestError" or "context_length_exceeded" || error.IsFiltered ? 400
        : error.Code is "rate_limit_exceeded" or "insufficient_quota" ? 429
        : 500;

    /// <summary>A response that is no success.</summary>
    /// <param name="isOfStream">True where it stood within a stream that had begun as one.</param>
    public static TeacherRequestException FromStatus(
        TeacherEndpoint endpoint,
        int status,
        ErrorBody error,
        TimeSpan? retryAfter,
        bool isOfStream = false
    )
    {
        var isAboutLogprobs = LogprobFields.Any(field => error.Message.Contains(field, StringComparison.OrdinalIgnoreCase));
        var shown = error.Shown(endpoint.Redact);
        var says = shown.Length == 0 ? "" : $": {shown}";
        return (status, error.Code) switch
        {
            (400 or 403 or 422, _) when error.IsFiltered => new(FailureScope.Request, $"{endpoint} refused the prompt ({status}){says}")
            {
                Status = status,
                IsFiltered = true,
            },

            (400 or 413 or 422 or 500, _) when error.IsTooLong => new(
                FailureScope.Request,
                $"{endpoint} cannot take the prompt ({status}){says}"
            )
            {
                Status = status,
                IsTooLong = true,
            },

            // The server's own words are left out: some repeat part of the key.
            (401 or 403, _) => Of(
                FailureScope.Teacher,
                endpoint.KeyOrigin is { } origin
                    ? $"{endpoint} refused the key ({status}): put a valid one into {origin}"
                    : $"{endpoint} wants a key ({status}): put it into an environment variable and name that with --api-key-env"
            ),
            (402, _) or (429, "insufficient_quota") => Of(
                FailureScope.Teacher,
                $"the account behind {endpoint} has no credit left ({status}){says}"
            ),
            (404 or 405, _) or (_, "model_not_found") => new(
                FailureScope.Teacher,
                $"{endpoint} was not found ({status}){says}; check the model's name against {endpoint.Address("models")}, "
                    + "and that the address is the one below which chat/completions lies, such as http://gpu-01:8000/v1"
            )
            {
                Status = status,
                ServerMessage = shown,
                IsNotFound = true,
            },
            (408 or 409 or 425 or 429 or >= 500, _) when retryAfter > LongestWait => Of(
                FailureScope.Teacher,
                $"{endpoint} asks to be left alone for {retryAfter.Value.TotalHours:0.#} hours ({status}){says}; "
                    + "run the same command again after that: what was collected is kept"
            ),
            (504 or 524, _) => Of(
                FailureScope.Passing,
                $"{endpoint} failed ({status}){says}; a gateway that gives up on long answers lets them through in pieces (stream: true)"
            ),
            (429 or 503 or 529, _) => Of(
                FailureScope.Passing,
                $"{endpoint} has too much to do ({status}){says}",
                overloaded: status != 503 || retryAfter is not null || SaysBusy(error)
            ),
            (408 or 409 or 425 or >= 500, _) => Of(FailureScope.Passing, $"{endpoint} failed ({status}){says}"),
            _ when isAboutLogprobs => Of(
                FailureScope.Teacher,
                $"{endpoint} refuses the logprobs asked for ({status}){says}; "
                    + "lower --top-logprobs, or raise the server's limit (vLLM: --max-logprobs)"
            ),
            _ => Of(FailureScope.Request, $"{endpoint} refused the request ({status}){says}"),
        };

        TeacherRequestException Of(FailureScope scope, string message, bool overloaded = false) =>
            new(scope, message)
            {
                RetryAfter = scope == FailureScope.Passing ? retryAfter : null,
                Overloaded = overloaded,
                Status = status,
                ServerMessage = shown,
                IsAboutLogprobs = isAboutLogprobs,
                IsOfStream = isOfStream,
            };
    }

    /// <summary>
    /// An endpoint that has answered is not found any more: its server starts again, or a gateway lost sight of it, and it may come back.
    /// </summary>
    public static TeacherRequestException FromVanishing(TeacherEndpoint endpoint, TeacherRequestException e) =>
        new(
            FailureScope.Passing,
            $"{endpoint} answered before and is not found now ({e.Status}){(e.ServerMessage.Length == 0 ? "" : $": {e.ServerMessage}")}",
            e
        )
        {
            Status = e.Status,
            ServerMessage = e.ServerMessage,
            IsNotFound = true,
        };

    /// <summary>
    /// A response that points elsewhere. It is not followed: prompts and the key go to the address that the user named and to no other.
    /// </summary>
    public static TeacherRequestException FromRedirect(TeacherEndpoint endpoint, int status, Uri? location)
    {
        var told =
            location is not null && Uri.TryCreate(endpoint.BaseAddress, location, out var target)
                ? target.GetLeftPart(UriPartial.Path)
                : "elsewhere";
        return new TeacherRequestException(
            FailureScope.Teacher,
            $"{endpoint} redirects to {endpoint.Redact(told)} ({status}), where neither the "
                + "key nor a prompt is sent; if you trust that address, name it as the endpoint"
        )
        {
            Status = status,
        };
    }

    /// <summary>No response, or one that broke off.</summary>
    public static TeacherRequestException FromTransport(TeacherEndpoint endpoint, Exception e)
    {
        if (
            e
                is HttpRequestException
                {
                    HttpRequestError: HttpRequestError.SecureConnectionError,
                    InnerException: AuthenticationException refused
                }
            && refused.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase)
        )
        {
            return new TeacherRequestException(
                FailureScope.Teacher,
                $"the certificate of {endpoint} is not trusted ({refused.Message.TrimEnd('.')}); "
                    + "put its authority's certificate into the system's store, or name a file with it in SSL_CERT_FILE",
                e
            );
        }

        var cause =
            e is HttpRequestException { HttpRequestError: not HttpRequestError.Unknown } http ? Words(http.HttpRequestError)
            : e is HttpIOException io ? Words(io.HttpRequestError)
            : e.GetBaseException().Message;
        return new TeacherRequestException(
            FailureScope.Passing,
            $"cannot reach {endpoint} ({cause}); check that the server runs, and the address",
            e
        )
        {
            NoConnection =
                e
                    is HttpRequestException
                    {
                        HttpRequestError: HttpRequestError.ConnectionError
                            or HttpRequestError.NameResolutionError
                            or HttpRequestError.SecureConnectionError,
                    },
        };
    }

    /// <summary>A response that is not a chat completion as the protocol has it.</summary>
    /// <remarks>It is the server's fault, or a gateway's before it, and the next one may be good.</remarks>
    public static TeacherRequestException FromFormat(TeacherEndpoint endpoint, WireFormatException e) =>
        new(FailureScope.Passing, $"{endpoint} sent a response that cannot be used: {endpoint.Redact(e.Message)}", e);

    /// <summary>A response longer than any answer to its request can be: the next one would be as long.</summary>
    public static TeacherRequestException FromSize(TeacherEndpoint endpoint, ResponseTooLargeException e) =>
        new(FailureScope.Request, $"{endpoint} sent a response that cannot be used: {e.Message}", e);

    /// <summary>Retry-After in either of its forms: seconds, or a date.</summary>
    public static TimeSpan? RetryAfter(HttpResponseHeaders headers, TimeProvider time) =>
        headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } when date > time.GetUtcNow() => date - time.GetUtcNow(),
            { Date: not null } => TimeSpan.Zero,
            _ => null,
        };

    /// <summary>503 is both: the word of a server that is full, and of a gateway whose server is gone or still loads its model.</summary>
    static bool SaysBusy(ErrorBody error) => BusyWords.Any(word => error.Message.Contains(word, StringComparison.OrdinalIgnoreCase));

    static string Words(HttpRequestError error) =>
        error switch
        {
            HttpRequestError.NameResolutionError => "the host's name is not known",
            HttpRequestError.ConnectionError => "no connection",
            HttpRequestError.SecureConnectionError => "no TLS connection",
            HttpRequestError.ResponseEnded => "the response broke off",
            HttpRequestError.InvalidResponse => "the response is not HTTP",
            HttpRequestError.ConfigurationLimitExceeded => "its headers are longer than any server's",
            _ => error.ToString(),
        };
}
