using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Batch;

/// <summary>Content of one line of a batch's results, without the answer itself.</summary>
/// <param name="CustomId">The request's name; null where the line has none.</param>
/// <param name="Body">Where in the line the answer stands.</param>
/// <param name="Failure">Why there is no answer; null where there is one.</param>
/// <param name="Refusal">The finish reason that labels a prompt which can never be answered; null where it may be.</param>
readonly record struct BatchLine(string? CustomId, Range Body, string? Failure, string? Refusal)
{
    /// <exception cref="JsonException">The line is no JSON object.</exception>
    public static BatchLine Parse(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line);
        var (customId, status, body, error) = (default(string), default(int?), default(Range?), default(ErrorBody));
        Enter(ref reader);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString();
            reader.Read();
            if (name == "custom_id" && reader.TokenType == JsonTokenType.String)
            {
                customId = reader.GetString();
            }
            else if (name == "error" && reader.TokenType != JsonTokenType.Null)
            {
                error = ErrorBody.Parse(line[Value(ref reader)]);
            }
            else if (name == "response" && reader.TokenType == JsonTokenType.StartObject)
            {
                (status, body) = ParseResponse(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        var refused = error is null && body is { } range && status is not (null or 200) ? ErrorBody.Parse(line[range]) : null;
        var failure =
            error is not null ? Message(error)
            : body is null ? "has no answer"
            : refused is not null ? $"status {status}: {Message(refused)}"
            : null;
        var refusal = (error ?? refused) switch
        {
            { IsTooLong: true } => FinishReasons.ContextLength,
            { IsFiltered: true } => FinishReasons.ContentFilter,
            _ => null,
        };
        return new BatchLine(customId, body ?? default, failure, refusal);
    }

    static (int? Status, Range? Body) ParseResponse(ref Utf8JsonReader reader)
    {
        var (status, body) = (default(int?), default(Range?));
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString();
            reader.Read();
            if (name == "status_code" && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number))
            {
                status = number;
            }
            else if (name == "body" && reader.TokenType == JsonTokenType.StartObject)
            {
                body = Value(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        return (status, body);
    }

    static void Enter(ref Utf8JsonReader reader)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("an object is expected");
        }
    }

    static Range Value(ref Utf8JsonReader reader)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return start..(int)reader.BytesConsumed;
    }

    static string Message(ErrorBody error) => error.Shown(text => text) is { Length: > 0 } message ? message : "without a reason";
}
