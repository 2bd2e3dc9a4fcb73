using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// Error as a server tells it: OpenAI's <c>{"error":{"message","type","code"}}</c>, FastAPI's <c>{"detail"}</c>, or plain text.
/// </summary>
/// <param name="Message">One line, which may hold a secret and be long; empty where the body says nothing.</param>
/// <param name="Code">The machine-readable code or type, or null.</param>
sealed record ErrorBody(string Message, string? Code)
{
    const int LongestMessage = 300;

    /// <summary>True where a filter in front of the model refused this one prompt.</summary>
    public bool IsFiltered { get; private init; }

    /// <summary>True where this one prompt is too long for the model's context.</summary>
    public bool IsTooLong { get; private init; }

    /// <summary>At most 300 characters of the message. Secrets are blotted out before it is cut: half of one is one still.</summary>
    /// <param name="redact">Blots them out.</param>
    public string Shown(Func<string, string> redact)
    {
        var whole = redact(Message);
        return whole.Length <= LongestMessage ? whole : whole[..LongestMessage] + "…";
    }

    public static ErrorBody Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            using var document = JsonDocument.ParseValue(ref reader);
            return FromJson(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            var text = Encoding.UTF8.GetString(body);

            // A proxy's error page helps nobody.
            return new ErrorBody(text.TrimStart().StartsWith('<') ? "" : PlainLine.Of(text), Code: null)
            {
                IsTooLong = ContextLength.IsExceeded(text),
            };
        }
    }

    /// <summary>
    /// The error that a server reports in place of an answer under status 200, as OpenRouter does; null where the body holds none.
    /// </summary>
    public static ErrorBody? InSuccess(ReadOnlySpan<byte> body)
    {
        // Only short bodies: a completion with thousands of tokens is not parsed twice.
        if (body.Length > 16_384 || body.IndexOf("\"error\""u8) < 0)
        {
            return null;
        }

        try
        {
            var reader = new Utf8JsonReader(body);
            using var document = JsonDocument.ParseValue(ref reader);
            return document.RootElement.Find("error") is { } error ? Of(error) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>
    /// Error that a response without choices tells instead: some servers report a failure under status 200 and not as an <c>error</c>.
    /// </summary>
    /// <param name="body">A whole response, or a piece of a stream, that has no choices.</param>
    /// <returns>Null where it says nothing.</returns>
    public static ErrorBody? InPlaceOfChoices(ReadOnlySpan<byte> body) => Parse(body) is { Message.Length: > 0 } error ? error : null;

    /// <summary>Error that the value of a member <c>error</c> tells; null where it says that there is none.</summary>
    /// <param name="error">The value.</param>
    /// <param name="type">The error's type beside it, where it is a text; null for none.</param>
    public static ErrorBody? Of(JsonElement error, string? type = null) =>
        error.ValueKind switch
        {
            JsonValueKind.String when error.GetString() is { Length: > 0 } text => new ErrorBody(PlainLine.Of(text), Code: null)
            {
                IsTooLong = ContextLength.IsExceeded(text, type),
            },
            JsonValueKind.Object when error.EnumerateObject().Any() => new ErrorBody(
                PlainLine.Of(MessageOf(error)),
                Text(error, "code") ?? Text(error, "type")
            )
            {
                IsFiltered = IsOfAFilter(error),
                IsTooLong = ContextLength.IsExceeded(MessageOf(error), Text(error, "code"), Text(error, "type")),
            },
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.Array => new ErrorBody("", Code: null),
            _ => null,
        };

    /// <summary>The same error without what it repeats of the prompt: lines of it, and short prompts as a whole.</summary>
    /// <param name="prompt">Texts that went with the request.</param>
    public ErrorBody Without(IEnumerable<string> prompt)
    {
        const int Telling = 8;
        var hidden = prompt
            .SelectMany(text => text.Split('\n').Append(text))
            .Select(PlainLine.Of)
            .Where(line => line.Length >= Telling)
            .OrderByDescending(line => line.Length);
        return this with { Message = hidden.Aggregate(Message, (message, line) => message.Replace(line, "…", StringComparison.Ordinal)) };
    }

    static ErrorBody FromJson(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            return new ErrorBody("", Code: null);
        }

        return Of(root.TryGetProperty("error", out var inner) ? inner : root, Text(root, "error_type")) ?? new ErrorBody("", Code: null);
    }

    /// <summary>Azure and OpenAI have codes for it, DeepSeek a sentence, OpenRouter says what its moderation flagged.</summary>
    static bool IsOfAFilter(JsonElement error) =>
        Text(error, "code") is "content_filter" or "content_policy_violation" or "invalid_prompt"
        || Text(error, "message") == "Content Exists Risk"
        || error.Find("metadata", "flagged_input") is not null
        || error.Find("metadata", "reasons") is not null;

    static string MessageOf(JsonElement error)
    {
        if ((Text(error, "message") ?? Text(error, "msg") ?? Text(error, "error_msg")) is { } message)
        {
            return message;
        }

        // MiniMax's form.
        if (error.Find("base_resp") is { ValueKind: JsonValueKind.Object } state)
        {
            return Text(state, "status_msg") ?? "";
        }

        // FastAPI lists what is wrong with each field, and repeats the input, which is prompt text: only `msg` is taken.
        return error.Text("detail") ?? string.Join("; ", error.Items("detail").Select(entry => Text(entry, "msg")).OfType<string>());
    }

    /// <summary>A text, or a number as it is written: some servers' codes are numbers.</summary>
    static string? Text(JsonElement element, params ReadOnlySpan<object> steps) =>
        element.Text(steps) ?? (element.Find(steps) is { ValueKind: JsonValueKind.Number } number ? number.GetRawText() : null);
}
