namespace TraceDistill.Serving.Protocol;

/// <summary>A request that is answered with an error, in OpenAI's form.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="message">One line for the client's user.</param>
/// <param name="code">A word for the client's program.</param>
/// <param name="fieldName">The field at fault, if one is.</param>
sealed class ApiException(int status, string message, string code, string? fieldName = null) : Exception(message)
{
    public int Status => status;

    public string Code => code;

    public string? Field => fieldName;

    /// <summary>Seconds after which to try again, where that can help.</summary>
    public int? RetryAfter { get; init; }

    public static ApiException BadField(string field, string problem) => new(400, $"{field} {problem}", "invalid_value", field);
}
