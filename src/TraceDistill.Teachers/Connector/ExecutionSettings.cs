using System.Globalization;
using System.Text.Json;
using Microsoft.SemanticKernel;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Teachers.Connector;

/// <summary>Reads Semantic Kernel's execution settings: plain ones with extension data, and the typed ones of other connectors, by their JSON names.</summary>
static class ExecutionSettings
{
    /// <summary>What Semantic Kernel keeps for itself; the server would not know it.</summary>
    static readonly string[] Local =
    [
        "service_id", "model_id", "function_choice_behavior", "tool_call_behavior", "chat_system_prompt", "chat_developer_prompt", "max_tokens", "max_completion_tokens",
    ];

    /// <exception cref="InvalidInputException">A setting has a value of another type.</exception>
    public static SamplingSettings Read(PromptExecutionSettings? settings)
    {
        if (settings is null or TeacherExecutionSettings)
        {
            return (settings as TeacherExecutionSettings)?.Sampling ?? new SamplingSettings();
        }

        var fields = JsonSerializer.SerializeToElement(settings, settings.GetType()).EnumerateObject()
            .Where(field => field.Value.ValueKind != JsonValueKind.Null)
            .ToDictionary(field => field.Name, field => field.Value);
        var defaults = new SamplingSettings();
        var top = Integer(fields, "top_logprobs");
        var asksForLogprobs = fields.TryGetValue("logprobs", out var logprobs) && (logprobs.ValueKind == JsonValueKind.True || IsText(logprobs, bool.TrueString));
        return new SamplingSettings
        {
            Temperature = Number(fields, "temperature") ?? defaults.Temperature,
            TopP = Number(fields, "top_p") ?? defaults.TopP,
            MaxTokens = (int)(Integer(fields, "max_tokens") ?? Integer(fields, "max_completion_tokens") ?? defaults.MaxTokens),
            Seed = Integer(fields, "seed"),
            TopLogprobs = (int)(top ?? (asksForLogprobs ? 1 : 0)),
            ExtraBody = ExtraBody.Canonical(fields
                .Select(field => field.Key == "stop_sequences" ? KeyValuePair.Create("stop", field.Value) : field)
                .Where(field => !Local.Contains(field.Key) && ExtraBody.Refusal(field.Key) is null && !IsEmptyList(field.Value))),
        };
    }

    static double? Number(Dictionary<string, JsonElement> fields, string name) => !fields.TryGetValue(name, out var value) ? null
        : value.ValueKind == JsonValueKind.Number ? value.GetDouble()
        : value.ValueKind == JsonValueKind.String && double.TryParse(value.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number
        : throw new InvalidInputException($"{name}: '{value}' is no number");

    static long? Integer(Dictionary<string, JsonElement> fields, string name) => Number(fields, name) is not { } number ? null
        : number == Math.Truncate(number) && Math.Abs(number) <= int.MaxValue ? (long)number
        : throw new InvalidInputException($"{name}: '{fields[name]}' is no whole number of 31 bits");

    static bool IsText(JsonElement value, string text) => value.ValueKind == JsonValueKind.String && string.Equals(value.GetString(), text, StringComparison.OrdinalIgnoreCase);

    static bool IsEmptyList(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;
}
