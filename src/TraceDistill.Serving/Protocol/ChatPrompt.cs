using System.Text.Json;
using TraceDistill.Core.Generation;

namespace TraceDistill.Serving.Protocol;

/// <summary>The fields that a chat template makes a prompt of.</summary>
static class ChatPrompt
{
    /// <summary>vLLM's <c>chat_template_kwargs</c>.</summary>
    public static Dictionary<string, object?> ReadTemplateVariables(RequestFields fields) => fields.Object("chat_template_kwargs") is null
        ? []
        : fields.Find("chat_template_kwargs")!.Value.EnumerateObject().ToDictionary(field => field.Name, field => (object?)field.Value);

    public static List<ChatMessage> ReadMessages(RequestFields fields)
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
