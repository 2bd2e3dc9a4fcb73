using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace TraceDistill.TestServer.Teaching;

/// <summary>A request's content, whatever the server's dialect.</summary>
public sealed record TeacherRequest
{
    TeacherRequest(JsonElement root)
    {
        Model = Text(root, "model") ?? "";
        Prompt = PromptOf(root);
        var sampling = root.TryGetProperty("sampling_params", out var nested) ? nested : root;
        MaxTokens = Integer(sampling, "max_tokens")
            ?? Integer(sampling, "max_completion_tokens")
            ?? Integer(sampling, "max_new_tokens")
            ?? 512;
        Seed = Number(sampling, "seed") ?? Number(sampling, "sampling_seed");
        TopLogprobs = Integer(root, "top_logprobs") ?? Integer(root, "top_logprobs_num") ?? 0;
        SpellsTokenIds = Flag(root, "return_tokens_as_token_ids");
        ReturnsTokenIds = Flag(root, "return_token_ids");
        IsStreamed = Flag(root, "stream");
        WantsUsage = root.TryGetProperty("stream_options", out var options) && Flag(options, "include_usage");
        Key = KeyOf(Prompt, Seed, Number(sampling, "temperature"), Number(sampling, "top_p"), MaxTokens);
    }

    public string Model { get; init; }

    /// <summary>The contents of all turns, one a line; of a prompt in token ids, their list.</summary>
    public string Prompt { get; }

    public int MaxTokens { get; init; }

    public double? Seed { get; }

    /// <summary>0 where no alternatives are asked for.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>vLLM's <c>return_tokens_as_token_ids</c>.</summary>
    public bool SpellsTokenIds { get; }

    /// <summary>vLLM's <c>return_token_ids</c>.</summary>
    public bool ReturnsTokenIds { get; }

    /// <summary>True where the answer is to come as events.</summary>
    public bool IsStreamed { get; }

    /// <summary>True where the last event is to tell the usage.</summary>
    public bool WantsUsage { get; }

    /// <summary>
    /// Hash of what decides the answer: prompt, seed, temperature, nucleus and longest length.
    /// What is asked to be reported, and under which name the model goes, is no part of it.
    /// </summary>
    public ulong Key { get; }

    /// <exception cref="JsonException">The body is no JSON.</exception>
    public static TeacherRequest Parse(string body)
    {
        using var document = JsonDocument.Parse(body);
        return new TeacherRequest(document.RootElement);
    }

    static string PromptOf(JsonElement root) =>
        root.TryGetProperty("messages", out var messages)
            ? string.Join('\n', messages.EnumerateArray().Select(turn => Text(turn, "content")))
            : Text(root, "text") ?? Text(root, "prompt") ?? (root.TryGetProperty("input_ids", out var ids) ? ids.GetRawText() : "");

    static ulong KeyOf(string prompt, params double?[] settings)
    {
        var content = string.Join('\n', settings.Select(value => value?.ToString("R", CultureInfo.InvariantCulture)).Append(prompt));
        return BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
    }

    static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    static double? Number(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    static int? Integer(JsonElement element, string name) => (int?)Number(element, name);

    static bool Flag(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}
