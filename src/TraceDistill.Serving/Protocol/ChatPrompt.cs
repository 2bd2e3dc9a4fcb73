using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Pictures;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;

namespace TraceDistill.Serving.Protocol;

/// <summary>Input of a request to the chat template, of which it makes a prompt.</summary>
sealed record ChatPrompt
{
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>Files of the pictures whose places are in the messages, in their order.</summary>
    public required IReadOnlyList<byte[]> Pictures { get; init; }

    /// <summary>True where the prompt ends where the model's turn begins.</summary>
    public bool AddGenerationPrompt { get; private init; } = true;

    /// <summary>
    /// True where it ends with the last message's content, which the model goes on with, and not behind what ends its turn.
    /// </summary>
    public bool ContinueFinalMessage { get; private init; }

    /// <summary>More variables for the chat template (vLLM's <c>chat_template_kwargs</c>), such as <c>enable_thinking</c>.</summary>
    public IReadOnlyDictionary<string, object?> TemplateVariables { get; private init; } = new Dictionary<string, object?>();

    public static ChatPrompt Read(RequestFields fields)
    {
        foreach (var name in new[] { "tools", "chat_template" })
        {
            fields.Refuse(name, value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
        }

        var pictures = new List<byte[]>();
        var prompt = new ChatPrompt
        {
            Messages = ReadMessages(fields, pictures),
            Pictures = pictures,
            AddGenerationPrompt = fields.Flag("add_generation_prompt", absent: true),
            ContinueFinalMessage = fields.Flag("continue_final_message"),
            TemplateVariables = ReadTemplateVariables(fields),
        };
        return !(prompt.AddGenerationPrompt && prompt.ContinueFinalMessage)
            ? prompt
            : throw fields.Bad("continue_final_message", "cannot be true together with add_generation_prompt, which is true unless given");
    }

    /// <summary>The text of the prompt.</summary>
    public string Render(ChatTemplate template) =>
        ContinueFinalMessage ? RenderFinalMessage(template) : template.Render(Messages, AddGenerationPrompt, TemplateVariables);

    /// <summary>
    /// As transformers finds the end of the final message: by a mark behind it, which a template that
    /// trims its content takes the space from; then white space before the mark does not count either.
    /// </summary>
    string RenderFinalMessage(ChatTemplate template)
    {
        const string Mark = "CONTINUE_FINAL_MESSAGE_TAG";
        var final = Messages[^1];
        var text = template.Render(
            [.. Messages.SkipLast(1), final with { Content = final.Content + Mark + " " }],
            AddGenerationPrompt,
            TemplateVariables
        );
        var end = text.LastIndexOf(Mark, StringComparison.Ordinal);
        if (end < 0)
        {
            throw ApiException.BadField(
                "continue_final_message",
                "cannot be: the chat template leaves the end of the last message out, so there is nothing to go on with"
            );
        }

        return text.AsSpan(end + Mark.Length).StartsWith(" ") ? text[..end] : text[..end].TrimEnd();
    }

    static Dictionary<string, object?> ReadTemplateVariables(RequestFields fields)
    {
        var variables = new Dictionary<string, object?>();
        if (fields.Object("chat_template_kwargs") is not null)
        {
            foreach (var field in fields.Find("chat_template_kwargs")!.Value.EnumerateObject())
            {
                variables[field.Name] = field.Value;
            }
        }

        return variables;
    }

    static List<ChatMessage> ReadMessages(RequestFields fields, List<byte[]> pictures)
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
            messages.Add(new ChatMessage(one.Text("role") ?? throw one.Bad("role", "is missing"), ReadContent(one, pictures)));
        }

        return messages;
    }

    /// <summary>A string, or a list of parts: texts, and pictures, which leave their places in the text.</summary>
    static string ReadContent(RequestFields message, List<byte[]> pictures) =>
        message.Find("content") switch
        {
            { ValueKind: JsonValueKind.String } text => text.GetString()!,
            { ValueKind: JsonValueKind.Array } parts => string.Concat(
                parts.EnumerateArray().Select(part => ReadPart(message, part, pictures))
            ),
            _ => throw message.Bad("content", "must be a string or a list of parts"),
        };

    static string ReadPart(RequestFields message, JsonElement part, List<byte[]> pictures)
    {
        if (part.Text("type") == "image_url")
        {
            pictures.Add(PictureUrl.Read(message, part));
            return $"{Picture.Place}";
        }

        return part.Text("type") == "text" && part.Text("text") is { } text
            ? text
            : throw message.Bad("content", "holds a part that is neither text nor image_url");
    }
}
