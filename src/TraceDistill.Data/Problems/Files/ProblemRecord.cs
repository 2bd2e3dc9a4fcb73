using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems.Files;

/// <summary>One record of a problem file of any format, as a JSON object, and where it stands.</summary>
/// <param name="Where">File and line or row, for messages.</param>
/// <param name="Json">The object. Null is the same as absent.</param>
readonly record struct ProblemRecord(RowPlace Where, JsonElement Json)
{
    const int FieldsNamed = 20;

    static readonly string[] UserRoles = ["user", "human"];
    static readonly string[] AssistantRoles = ["assistant", "gpt", "model", "bot"];

    /// <summary>The first of some fields that the record has, by its name in any case; null where it has none of them.</summary>
    /// <param name="names">Names, or paths such as <c>reward_model.ground_truth</c>.</param>
    public (string Name, JsonElement Value)? Find(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if ((At(name, StringComparison.Ordinal) ?? At(name, StringComparison.OrdinalIgnoreCase)) is { } found)
            {
                return (name, found);
            }
        }

        return null;
    }

    /// <summary>A field that the user has named.</summary>
    /// <returns>Its value; null where it is null here.</returns>
    /// <exception cref="InvalidInputException">The record has no such field.</exception>
    public JsonElement? Named(string name, string setting)
    {
        if (At(name, StringComparison.Ordinal) is { } value)
        {
            return value;
        }

        return Json.TryGetProperty(name.Split('.')[0], out _)
            ? null
            : throw new InvalidInputException($"{Where}: has no field '{name}' ({setting}); it has {FieldNames()}");
    }

    /// <summary>The record's own fields, for messages.</summary>
    public string FieldNames()
    {
        var names = Json.EnumerateObject().Select(field => field.Name).ToList();
        return names.Count == 0
            ? "no fields"
            : string.Join(", ", names.Take(FieldsNamed)) + (names.Count > FieldsNamed ? $" and {names.Count - FieldsNamed} more" : "");
    }

    /// <summary>A text that must be one and not blank.</summary>
    /// <exception cref="InvalidInputException">It is not.</exception>
    public string Text(string name, JsonElement value)
    {
        var text =
            value.ValueKind == JsonValueKind.String
                ? Characters(name, value)
                : throw new InvalidInputException($"{Where}: field '{name}' is a JSON {Kind(value)} where text is expected");
        return string.IsNullOrWhiteSpace(text) ? throw new InvalidInputException($"{Where}: field '{name}' is empty") : text;
    }

    /// <summary>An answer as written: text, a number to the last digit, a truth value, or a list of them.</summary>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="InvalidInputException">It is an object.</exception>
    public string? Answer(string name, JsonElement value)
    {
        var text = value.ValueKind switch
        {
            JsonValueKind.String => Characters(name, value),
            JsonValueKind.Number => value.GetRawText(),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            JsonValueKind.Null => "",
            JsonValueKind.Array => List(name, value),
            _ => throw new InvalidInputException(
                $"{Where}: field '{name}' is a JSON object where an answer is expected; "
                    + $"name the field within it with answer_field, as {name}.{First(value)}"
            ),
        };
        return string.IsNullOrWhiteSpace(text) ? null : text.Trim();
    }

    /// <summary>
    /// The turns of a conversation in any of its usual forms: <c>role</c> and <c>content</c>, or <c>from</c> and <c>value</c>.
    /// </summary>
    /// <exception cref="InvalidInputException">It is none, or of more than text.</exception>
    public List<ChatMessage> Conversation(string name, JsonElement turns)
    {
        var conversation = new List<ChatMessage>();
        foreach (var turn in turns.EnumerateArray())
        {
            var place = $"{name}[{conversation.Count}]";
            if (turn.ValueKind != JsonValueKind.Object)
            {
                throw new InvalidInputException($"{Where}: {place} is a JSON {Kind(turn)} where a turn with role and content is expected");
            }

            var record = new ProblemRecord(Where, turn);
            var (role, content) = (record.Find("role", "from"), record.Find("content", "value"));
            if (role is null || content is null)
            {
                throw new InvalidInputException(
                    $"{Where}: {place} has no {(role is null ? "role" : "content")}; it has {record.FieldNames()}"
                );
            }

            conversation.Add(new ChatMessage(Role(place, record.Text(place, role.Value.Value)), Content(place, content.Value.Value)));
        }

        return conversation;
    }

    /// <summary>A JSON value's kind in a word.</summary>
    public static string Kind(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.True or JsonValueKind.False => "boolean",
            var kind => kind.ToString().ToLowerInvariant(),
        };

    string Role(string place, string role) =>
        role.ToLowerInvariant() switch
        {
            "system" or "developer" => "system",
            var user when UserRoles.Contains(user) => "user",
            var assistant when AssistantRoles.Contains(assistant) => "assistant",
            _ => throw new InvalidInputException(
                $"{Where}: {place} has the role '{role}'; a problem's conversation is of system, user and assistant"
            ),
        };

    /// <summary>Content is text, or a list of parts that are text.</summary>
    string Content(string place, JsonElement content)
    {
        if (content.ValueKind != JsonValueKind.Array)
        {
            return Text(place, content);
        }

        var parts = new List<string>();
        foreach (var part in content.EnumerateArray())
        {
            var text = part.ValueKind == JsonValueKind.Object ? new ProblemRecord(Where, part).Find("text") : null;
            parts.Add(
                text is { } found
                    ? Text(place, found.Value)
                    : throw new InvalidInputException($"{Where}: {place} has a part that is not text; problems are text alone")
            );
        }

        return string.Join("\n", parts);
    }

    JsonElement? At(string path, StringComparison comparison)
    {
        if (Member(Json, path, comparison) is { } whole)
        {
            return whole;
        }

        if (!path.Contains('.', StringComparison.Ordinal))
        {
            return null;
        }

        JsonElement? value = Json;
        foreach (var name in path.Split('.'))
        {
            value = value is { ValueKind: JsonValueKind.Object } record ? Member(record, name, comparison) : null;
        }

        return value;
    }

    static JsonElement? Member(JsonElement record, string name, StringComparison comparison)
    {
        if (comparison == StringComparison.Ordinal)
        {
            return record.Find(name);
        }

        foreach (var field in record.EnumerateObject())
        {
            if (field.Value.ValueKind != JsonValueKind.Null && string.Equals(field.Name, name, comparison))
            {
                return field.Value;
            }
        }

        return null;
    }

    string List(string name, JsonElement list)
    {
        var items = new List<string>();
        foreach (var item in list.EnumerateArray())
        {
            if (Answer(name, item) is { } answer)
            {
                items.Add(answer);
            }
        }

        return string.Join(", ", items);
    }

    string Characters(string name, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidInputException($"{Where}: field '{name}' has half of a surrogate pair, which is not text", error);
        }
    }

    static string First(JsonElement record) => record.EnumerateObject().Select(field => field.Name).FirstOrDefault("name");
}
