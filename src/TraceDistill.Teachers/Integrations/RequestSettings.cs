using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Integrations;

/// <summary>Reads the settings of both frameworks by the names that their fields have in a chat completion's request.</summary>
static class RequestSettings
{
    /// <summary>Fields that the frameworks keep for themselves, or that are read here; the server would not know it.</summary>
    static readonly string[] Local =
    [
        "service_id",
        "model_id",
        "function_choice_behavior",
        "tool_call_behavior",
        "chat_system_prompt",
        "chat_developer_prompt",
        "max_tokens",
        "max_completion_tokens",
    ];

    /// <summary>Reads plain execution settings with extension data, and the typed ones of other connectors.</summary>
    /// <exception cref="ArgumentException">A setting has a value of another type.</exception>
    public static SamplingSettings Of(PromptExecutionSettings? settings) =>
        settings is null
            ? new SamplingSettings()
            : Read(
                JsonSerializer
                    .SerializeToElement(settings, settings.GetType())
                    .EnumerateObject()
                    .ToDictionary(field => field.Name, field => field.Value),
                new SamplingSettings()
            );

    /// <summary>
    /// Reads chat options; their additional properties are fields of the request, and the typed properties come before these.
    /// </summary>
    /// <param name="options">Null for the defaults.</param>
    /// <param name="client">
    /// Whose options they are: a factory of raw representations may have <see cref="SamplingSettings"/> for it.
    /// </param>
    /// <exception cref="ArgumentException">A setting has a value of another type.</exception>
    public static SamplingSettings Of(ChatOptions? options, IChatClient client)
    {
        var defaults = options?.RawRepresentationFactory?.Invoke(client) as SamplingSettings ?? new SamplingSettings();
        if (options is null)
        {
            return defaults;
        }

        var fields = new Dictionary<string, JsonElement>();
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            Set(name, value);
        }

        Set("temperature", options.Temperature);
        Set("top_p", options.TopP);
        Set("top_k", options.TopK);
        Set("max_tokens", options.MaxOutputTokens);
        Set("seed", options.Seed);
        Set("presence_penalty", options.PresencePenalty);
        Set("frequency_penalty", options.FrequencyPenalty);
        Set("stop", options.StopSequences);
        Set("response_format", FormatOf(options.ResponseFormat));
        Set(
            "reasoning_effort",
            options.Reasoning?.Effort switch
            {
                null => null,
                ReasoningEffort.ExtraHigh => "xhigh",
                { } effort => effort.ToString().ToLowerInvariant(),
            }
        );
        return Read(fields, defaults);

        void Set(string name, object? value)
        {
            if (value is not null)
            {
                fields[name] = JsonSerializer.SerializeToElement(value, value.GetType());
            }
        }
    }

    static SamplingSettings Read(Dictionary<string, JsonElement> fields, SamplingSettings defaults)
    {
        var given = fields.Where(field => field.Value.ValueKind != JsonValueKind.Null).ToDictionary();
        var asksForLogprobs =
            given.TryGetValue("logprobs", out var logprobs)
            && (logprobs.ValueKind == JsonValueKind.True || IsText(logprobs, bool.TrueString));
        return new SamplingSettings
        {
            Temperature = Number(given, "temperature") ?? defaults.Temperature,
            TopP = Number(given, "top_p") ?? defaults.TopP,
            MaxTokens = (int)(Integer(given, "max_tokens") ?? Integer(given, "max_completion_tokens") ?? defaults.MaxTokens),
            Seed = Integer(given, "seed") ?? defaults.Seed,
            TopLogprobs = (int)(Integer(given, "top_logprobs") ?? (asksForLogprobs ? 1 : defaults.TopLogprobs)),
            ExtraBody = ExtraBody.Canonical(
                given
                    .Select(field => field.Key == "stop_sequences" ? KeyValuePair.Create("stop", field.Value) : field)
                    .Where(field => !Local.Contains(field.Key) && ExtraBody.Refusal(field.Key) is null && !IsEmptyList(field.Value))
            ) ?? defaults.ExtraBody,
        };
    }

    static JsonObject? FormatOf(ChatResponseFormat? format) =>
        format switch
        {
            ChatResponseFormatJson { Schema: { } schema } json => new JsonObject
            {
                ["type"] = "json_schema",
                ["json_schema"] = new JsonObject
                {
                    ["name"] = json.SchemaName ?? "answer",
                    ["description"] = json.SchemaDescription,
                    ["schema"] = JsonSerializer.SerializeToNode(schema),
                },
            },
            ChatResponseFormatJson => new JsonObject { ["type"] = "json_object" },
            _ => null,
        };

    static double? Number(Dictionary<string, JsonElement> fields, string name) =>
        !fields.TryGetValue(name, out var value) ? null
        : value.ValueKind == JsonValueKind.Number ? value.GetDouble()
        : value.ValueKind == JsonValueKind.String
        && double.TryParse(value.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? number
        : throw new ArgumentException($"{name}: '{value}' is not a number");

    static long? Integer(Dictionary<string, JsonElement> fields, string name) =>
        Number(fields, name) is not { } number ? null
        : number == Math.Truncate(number) && Math.Abs(number) <= int.MaxValue ? (long)number
        : throw new ArgumentException($"{name}: '{fields[name]}' is not an integer of 32 bits");

    static bool IsText(JsonElement value, string text) =>
        value.ValueKind == JsonValueKind.String && string.Equals(value.GetString(), text, StringComparison.OrdinalIgnoreCase);

    static bool IsEmptyList(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;
}
