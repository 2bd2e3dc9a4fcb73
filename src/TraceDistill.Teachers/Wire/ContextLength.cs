namespace TraceDistill.Teachers.Wire;

/// <summary>Tells a refusal of a prompt that is too long for the teacher's context from other refusals.</summary>
static class ContextLength
{
    static readonly string[] Codes = ["context_length_exceeded", "exceed_context_size_error", "string_above_max_length"];

    /// <summary>Where a server has no code for it, its sentence is what there is to go by.</summary>
    static readonly string[] Sentences =
    [
        "maximum context length", // OpenAI, vLLM, DeepSeek, Mistral, OpenRouter
        "longer than the model's context length", // SGLang
        "longer than the maximum model length", // vLLM's newer engine
        "exceeds the available context size", // llama.cpp
        "`inputs` must have less than", // TGI
        "`inputs` tokens + `max_new_tokens` must be", // TGI
        "prompt is too long", // Anthropic, Fireworks
        "exceeds the maximum number of tokens allowed", // Gemini
        "exceeds the context window",
    ];

    /// <param name="message">The server's own words.</param>
    /// <param name="codes">The error's code and type.</param>
    public static bool IsExceeded(string message, params IEnumerable<string?> codes) =>
        codes.Any(code => Codes.Contains(code))
        || Sentences.Any(sentence => message.Contains(sentence, StringComparison.OrdinalIgnoreCase));
}
