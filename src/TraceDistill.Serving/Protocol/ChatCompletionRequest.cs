using System.Text.Json;
using TraceDistill.Core.Generation;

namespace TraceDistill.Serving.Protocol;

/// <summary>The body of <c>POST /v1/chat/completions</c>.</summary>
sealed record ChatCompletionRequest
{
    public string? Model { get; private init; }

    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    public required GenerationFields Generation { get; init; }

    /// <summary>Null: as far as the context goes.</summary>
    public int? MaxTokens { get; private init; }

    /// <summary>Null: no logprobs.</summary>
    public int? TopLogprobs { get; private init; }

    /// <summary>More variables for the chat template (vLLM's <c>chat_template_kwargs</c>), such as <c>enable_thinking</c>.</summary>
    public IReadOnlyDictionary<string, object?> TemplateVariables { get; private init; } = new Dictionary<string, object?>();

    public static ChatCompletionRequest Read(JsonElement root, int mostLogprobs)
    {
        var fields = new RequestFields(root);
        fields.Refuse("tools", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
        fields.Refuse("response_format", value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out var type) && type.ValueEquals("text"));
        var asked = fields.Flag("logprobs");
        var top = fields.Integer("top_logprobs", 0, mostLogprobs);
        if (top > 0 && !asked)
        {
            throw fields.Bad("top_logprobs", "needs logprobs: true");
        }

        return new ChatCompletionRequest
        {
            Model = fields.Text("model"),
            Messages = ReadMessages(fields),
            Generation = GenerationFields.Read(fields),
            MaxTokens = fields.Integer("max_completion_tokens", 1, int.MaxValue) ?? fields.Integer("max_tokens", 1, int.MaxValue),
            TopLogprobs = asked ? top ?? 0 : null,
            TemplateVariables = fields.Object("chat_template_kwargs") is null ? new Dictionary<string, object?>()
                : fields.Find("chat_template_kwargs")!.Value.EnumerateObject().ToDictionary(field => field.Name, field => (object?)field.Value),
        };
    }

    static List<ChatMessage> ReadMessages(RequestFields fields)
    {
        if (fields.Find("messages") is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() == 0)
        {
            throw fields.Bad("messages", "must be a list of at least one message");
        }

        var messages = new List<ChatMessage>();
        foreach (var (index, message) in list.EnumerateArray().Index())
        {
            if (message.ValueKind != JsonValueKind.Object)
            {
                throw fields.Bad($"messages[{index}]", "must be an object");
            }

            var one = new RequestFields(message, $"messages[{index}].");
            messages.Add(new ChatMessage(one.Text("role") ?? throw one.Bad("role", "is missing"), ReadContent(one)));
        }

        return messages;
    }

    /// <summary>A string, or a list of parts, of which a text model takes those of text.</summary>
    static string ReadContent(RequestFields message) => message.Find("content") switch
    {
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { ValueKind: JsonValueKind.Array } parts => string.Concat(parts.EnumerateArray().Select(part => ReadPart(message, part))),
        _ => throw message.Bad("content", "must be a string or a list of text parts"),
    };

    static string ReadPart(RequestFields message, JsonElement part) =>
        part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("text")
        && part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String
            ? text.GetString()!
            : throw message.Bad("content", "holds a part that is not text");
}
