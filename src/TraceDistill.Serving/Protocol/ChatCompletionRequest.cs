using System.Text.Json;

namespace TraceDistill.Serving.Protocol;

/// <summary>The body of <c>POST /v1/chat/completions</c>.</summary>
sealed record ChatCompletionRequest
{
    public string? Model { get; private init; }

    public required ChatPrompt Prompt { get; init; }

    public required GenerationFields Generation { get; init; }

    /// <summary>Null: as far as the context goes.</summary>
    public int? MaxTokens { get; private init; }

    /// <summary>Null: no logprobs.</summary>
    public int? TopLogprobs { get; private init; }

    public static ChatCompletionRequest Read(JsonElement root, int mostLogprobs)
    {
        var fields = new RequestFields(root);
        var asked = fields.Flag("logprobs");
        var top = fields.Integer("top_logprobs", 0, mostLogprobs);
        if (top > 0 && !asked)
        {
            throw fields.Bad("top_logprobs", "needs logprobs: true");
        }

        var generation = GenerationFields.Read(fields);
        if (generation.SampledLogprobs is not null && (!asked || top > 0))
        {
            throw fields.Bad("sampled_logprobs", "needs logprobs: true, and takes the place of top_logprobs");
        }

        return new ChatCompletionRequest
        {
            Model = fields.Text("model"),
            Prompt = ChatPrompt.Read(fields),
            Generation = generation,
            MaxTokens = fields.Integer("max_completion_tokens", 1, int.MaxValue) ?? fields.Integer("max_tokens", 1, int.MaxValue),
            TopLogprobs = asked ? generation.SampledLogprobs ?? top ?? 0 : null,
        };
    }
}
