using System.Buffers;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Teachers.Wire;

/// <summary>The calls of tools that a model answers with, as far as they have been read: whole, or piece by piece of a stream.</summary>
sealed class ToolCallParts
{
    readonly SortedDictionary<int, Call> _calls = [];

    /// <summary>Characters read.</summary>
    public long Extent => _calls.Values.Sum(call => (long)call.Name.Length + call.Arguments.Length);

    /// <summary>Reads the list of calls at the reader; a piece of a stream says by <c>index</c> which call it goes on with.</summary>
    public void ReadList(ref Utf8JsonReader reader)
    {
        if (!reader.EnterValue(JsonTokenType.StartArray, "choices[0].message.tool_calls"))
        {
            return;
        }

        for (var position = 0; reader.NextElement(); position++)
        {
            reader.Expect(JsonTokenType.StartObject, "choices[0].message.tool_calls[]");
            var call = JsonElement.ParseValue(ref reader);
            Add(call.Integer("index") ?? position, call.Text("id"), call.Find("function") ?? default);
        }
    }

    /// <summary>Reads the one call at the reader in the older form.</summary>
    public void ReadFunction(ref Utf8JsonReader reader)
    {
        if (reader.EnterValue(JsonTokenType.StartObject, "choices[0].message.function_call"))
        {
            Add(index: 0, id: null, JsonElement.ParseValue(ref reader));
        }
    }

    /// <summary>The calls as a JSON list in the form of chat completions; null where there are none.</summary>
    public string? ToJson()
    {
        if (_calls.Count == 0)
        {
            return null;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, JsonFile.Plain))
        {
            json.WriteStartArray();
            foreach (var call in _calls.Values)
            {
                json.WriteStartObject();
                if (call.Id is { } id)
                {
                    json.WriteString("id", id);
                }

                json.WriteString("type", "function");
                json.WriteStartObject("function");
                json.WriteString("name", LenientText.Whole(call.Name));
                json.WriteString("arguments", LenientText.Whole(call.Arguments));
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    void Add(int index, string? id, JsonElement function)
    {
        if (!_calls.TryGetValue(index, out var call))
        {
            _calls.Add(index, call = new Call());
        }

        call.Id ??= id;
        if (function.ValueKind == JsonValueKind.Object)
        {
            call.Name.Append(function.Text("name"));

            // Some servers give the arguments as the object that they are.
            call.Arguments.Append(
                function.Find("arguments") is { ValueKind: JsonValueKind.Object } arguments
                    ? arguments.GetRawText()
                    : function.Text("arguments")
            );
        }
    }

    sealed class Call
    {
        public string? Id { get; set; }

        public StringBuilder Name { get; } = new();

        public StringBuilder Arguments { get; } = new();
    }
}
