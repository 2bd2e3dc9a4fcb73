using System.Text.Json;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Serving.Protocol;

/// <summary>The body of <c>POST /v1/completions</c>.</summary>
sealed record CompletionRequest
{
    const int DefaultMaxTokens = 16;

    public string? Model { get; private init; }

    public int PromptCount => Prompts.Count;

    public required GenerationFields Generation { get; init; }

    List<CompletionPrompt> Prompts { get; init; } = [];

    /// <value>16, as OpenAI has it; 0 with <see cref="Echo"/> scores the prompt.</value>
    public int MaxTokens { get; private init; }

    /// <summary>Null: no logprobs.</summary>
    public int? TopLogprobs { get; private init; }

    /// <summary>True where the prompt is part of the result, with its logprobs where those are asked for.</summary>
    public bool Echo { get; private init; }

    public static CompletionRequest Read(JsonElement root, int mostLogprobs)
    {
        var fields = new RequestFields(root);
        fields.Refuse("suffix", value => value.ValueKind == JsonValueKind.String && value.ValueEquals(""));
        var generation = GenerationFields.Read(fields);
        fields.Refuse("best_of", value =>
            value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var best) && best == generation.Choices
        );
        var top = fields.Integer("logprobs", 0, mostLogprobs);
        if (generation is { SampledLogprobs: not null } && (top != 0 || !generation.TokensAsTokenIds))
        {
            // Tokens of the same text would be one member of top_logprobs.
            throw fields.Bad("sampled_logprobs", "needs logprobs: 0, whose alternatives it replaces, and return_tokens_as_token_ids: true");
        }

        return new CompletionRequest
        {
            Model = fields.Text("model"),
            Prompts = ReadPrompts(fields),
            Generation = generation,
            MaxTokens = fields.Integer("max_tokens", 0, int.MaxValue) ?? DefaultMaxTokens,
            TopLogprobs = generation.SampledLogprobs ?? top,
            Echo = fields.Flag("echo"),
        };
    }

    /// <summary>Each prompt as token ids.</summary>
    public int[][] Encode(Tokenizer tokenizer) =>
        [.. Prompts.Select(prompt => prompt.Ids ?? tokenizer.Encode(prompt.Text!, addSpecialTokens: true))];

    /// <summary>A text, a list of texts, a list of ids, or a list of lists of ids.</summary>
    static List<CompletionPrompt> ReadPrompts(RequestFields fields) =>
        fields.Find("prompt") switch
        {
            { ValueKind: JsonValueKind.String } text => [ReadText(text)],
            { ValueKind: JsonValueKind.Array } list when list.GetArrayLength() > 0 => list[0].ValueKind switch
            {
                JsonValueKind.String when All(list, JsonValueKind.String) => [.. list.EnumerateArray().Select(ReadText)],
                JsonValueKind.Number => [ReadIds(fields, list)],
                JsonValueKind.Array when All(list, JsonValueKind.Array) => [.. list.EnumerateArray().Select(ids => ReadIds(fields, ids))],
                _ => throw Bad(fields),
            },
            _ => throw Bad(fields),
        };

    static CompletionPrompt ReadText(JsonElement text) => new(text.GetString(), null);

    static CompletionPrompt ReadIds(RequestFields fields, JsonElement list) => new(null, RequestFields.ToIds(list) ?? throw Bad(fields));

    static bool All(JsonElement list, JsonValueKind kind) => list.EnumerateArray().All(item => item.ValueKind == kind);

    static ApiException Bad(RequestFields fields) =>
        fields.Bad("prompt", "must be a string, a list of strings, a list of token ids, or a list of such lists");

    /// <summary>One prompt: either of the two.</summary>
    readonly record struct CompletionPrompt(string? Text, int[]? Ids);
}
