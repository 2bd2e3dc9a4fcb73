using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>Whole responses in the very form of each kind of server: fields, order and quirks as its source has them.</summary>
static class DialectReplies
{
    const string Nothing = "null";

    /// <summary>OpenAI, and Azure OpenAI: bytes but no ids, no end of sequence, and no logprobs for what is hidden.</summary>
    public static string OpenAI(
        string? content,
        ReplyToken[]? tokens,
        string finishReason = "stop",
        string? refusal = null,
        int hiddenTokens = 0
    ) =>
        $$$$"""
            {"id":"chatcmpl-AbC","object":"chat.completion","created":1764000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}},"refusal":{{{{Text(refusal)}}}},"annotations":[]},"logprobs":{{{{(
                tokens is null ? Nothing : $$$$"""{"content":[{{{{List(tokens, OpenAIEntry)}}}}],"refusal":null}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}"}],"usage":{"prompt_tokens":12,"completion_tokens":{{{{(tokens?.Length ?? 0)
                + hiddenTokens}}}},"total_tokens":{{{{12
                + (tokens?.Length ?? 0)
                + hiddenTokens}}}},"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":{{{{hiddenTokens}}}},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_560af6e559"}
            """;

    /// <summary>
    /// vLLM: the end of sequence is listed; token strings are ids where
    /// <paramref name="asTokenIds"/> was asked for, and the bytes are then those of the spelling.
    /// </summary>
    public static string Vllm(
        string? content,
        string? reasoning,
        ReplyToken[]? tokens,
        string finishReason = "stop",
        bool asTokenIds = true
    ) =>
        $$$$"""
            {"id":"chatcmpl-7f3a","object":"chat.completion","created":1764000000,"model":"teacher","choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}},"refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":{{{{Text(reasoning)}}}}},"logprobs":{{{{(
                tokens is null ? Nothing : $$$$"""{"content":[{{{{List(tokens, token => VllmEntry(token, asTokenIds))}}}}]}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}","stop_reason":null,"token_ids":{{{{(
                asTokenIds && tokens is not null ? Ids(tokens) : Nothing
            )}}}}}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":2,"total_tokens":{{{{2
                + (tokens?.Length ?? 0)}}}},"completion_tokens":{{{{tokens?.Length
                ?? 0}}}},"prompt_tokens_details":null},"prompt_logprobs":null,"prompt_token_ids":{{{{(
                asTokenIds ? "[5,6]" : Nothing
            )}}}},"kv_transfer_params":null}
            """;

    /// <summary>SGLang's chat route: bytes are those of the decoded text, so that parts of characters are U+FFFD.</summary>
    public static string Sglang(string? content, string? reasoning, ReplyToken[]? tokens, string finishReason = "stop") =>
        $$$$"""
            {"id":"6e1d","object":"chat.completion","created":1764000000,"model":"teacher","choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}},"reasoning_content":{{{{Text(reasoning)}}}},"tool_calls":null},"logprobs":{{{{(
                tokens is null ? Nothing : $$$$"""{"content":[{{{{List(tokens, OpenAIEntry)}}}}]}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}","matched_stop":{{{{(
                finishReason == "stop" ? $"{ReplyToken.EndOfSequenceId}" : Nothing
            )}}}}}],"usage":{"prompt_tokens":2,"total_tokens":{{{{2 + (tokens?.Length ?? 0)}}}},"completion_tokens":{{{{tokens?.Length
                ?? 0}}}},"prompt_tokens_details":null,"reasoning_tokens":0},"metadata":{"weight_version":"default"}}
            """;

    /// <summary>SGLang's own <c>/generate</c>: entries are [logprob, id, text], the text null unless asked for.</summary>
    public static string SglangGenerate(string text, ReplyToken[] tokens, string finishReason = "stop") =>
        $$$$"""
            {"text":{{{{Text(text)}}}},"output_ids":{{{{Ids(tokens)}}}},"meta_info":{"id":"9c2f","finish_reason":{{{{(
                finishReason == "stop" ? $$$$"""{"type":"stop","matched":{{{{ReplyToken.EndOfSequenceId}}}}}"""
                : finishReason == "length" ? $$$$"""{"type":"length","length":{{{{tokens.Length}}}}}"""
                : $$$$"""{"type":"abort","message":"Aborted","status_code":503,"err_type":null}"""
            )}}}},"prompt_tokens":2,"weight_version":"default","total_retractions":0,"completion_tokens":{{{{tokens.Length}}}},"cached_tokens":0,"input_token_logprobs":[],"output_token_logprobs":[{{{{List(
                tokens,
                token => $"[{Number(token.Logprob)},{token.Id},null]"
            )}}}}],"input_top_logprobs":[],"output_top_logprobs":[{{{{List(tokens, token =>
                $"[{string.Join(',', token.Top.Select(top => $"[{Number(top.Logprob)},{top.Id},null]"))}]"
            )}}}}],"e2e_latency":0.125}}
            """;

    /// <summary>
    /// llama.cpp's server: ids and true bytes, the end of sequence with empty text; what is impossible is the lowest float.
    /// </summary>
    public static string LlamaCpp(string? content, string? reasoning, ReplyToken[]? tokens, string finishReason = "stop") =>
        $$$$"""
            {"choices":[{"finish_reason":"{{{{finishReason}}}}","index":0,"message":{"role":"assistant"{{{{(
                reasoning is null ? "" : $",\"reasoning_content\":{Text(reasoning)}"
            )}}}},"content":{{{{Text(content)}}}}}{{{{(
                tokens is null ? "" : $$$$""","logprobs":{"content":[{{{{List(tokens, LlamaEntry)}}}}]}"""
            )}}}}}],"created":1764000000,"model":"teacher.gguf","system_fingerprint":"b7120-4f1d","object":"chat.completion","usage":{"completion_tokens":{{{{tokens?.Length
                ?? 0}}}},"prompt_tokens":2,"total_tokens":{{{{2
                + (
                    tokens?.Length ?? 0
                )}}}}},"id":"chatcmpl-Xy","timings":{"cache_n":0,"prompt_n":2,"prompt_ms":1.5,"predicted_n":{{{{tokens?.Length
                ?? 0}}}},"predicted_ms":8.5}}
            """;

    /// <summary>DeepSeek's API: reasoning and its logprobs stand apart from the answer's.</summary>
    public static string DeepSeek(
        string content,
        string? reasoning,
        ReplyToken[]? answerTokens,
        ReplyToken[]? reasoningTokens = null,
        string finishReason = "stop"
    ) =>
        $$$$"""
            {"id":"930c60df","object":"chat.completion","created":1764000000,"model":"deepseek-chat","choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}}{{{{(reasoning is null ? "" : $",\"reasoning_content\":{Text(reasoning)}")}}}}},"logprobs":{{{{(
                answerTokens is null
                    ? Nothing
                    : $$$$"""{"content":[{{{{List(answerTokens, OpenAIEntry)}}}}]{{{{(reasoningTokens is null ? "" : $",\"reasoning_content\":[{List(reasoningTokens, OpenAIEntry)}]")}}}}}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}"}],"usage":{"prompt_tokens":9,"completion_tokens":{{{{(answerTokens?.Length ?? 0)
                + (reasoningTokens?.Length ?? 0)}}}},"total_tokens":{{{{9
                + (answerTokens?.Length ?? 0)
                + (
                    reasoningTokens?.Length ?? 0
                )}}}},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":9},"system_fingerprint":"fp_ffc7281d48_prod0820_fp8_kvcache"}
            """;

    /// <summary>OpenRouter: the reasoning stands in <c>reasoning_details</c>, and mostly in <c>reasoning</c> too.</summary>
    public static string OpenRouter(
        string content,
        string? reasoning,
        string[] reasoningDetails,
        ReplyToken[]? tokens = null,
        string finishReason = "stop"
    ) =>
        $$$$"""
            {"id":"gen-1764000000-AbC","provider":"DeepInfra","model":"deepseek/deepseek-r1","object":"chat.completion","created":1764000000,"choices":[{"logprobs":{{{{(
                tokens is null ? Nothing : $$$$"""{"content":[{{{{List(tokens, OpenAIEntry)}}}}],"refusal":null}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}","native_finish_reason":"{{{{finishReason}}}}","index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}},"refusal":null,"reasoning":{{{{Text(reasoning)}}}},"reasoning_details":[{{{{string.Join(
                ',',
                reasoningDetails.Select(
                    (text, i) => $$$$"""{"type":"reasoning.text","text":{{{{Text(text)}}}},"format":"unknown","index":{{{{i}}}}}"""
                )
            )}}}}]}}],"usage":{"prompt_tokens":9,"completion_tokens":{{{{tokens?.Length ?? 20}}}},"total_tokens":{{{{9
                + (tokens?.Length ?? 20)}}}}}}
            """;

    /// <summary>Ollama: bytes are those of the text, the end of sequence is neither listed nor text.</summary>
    public static string Ollama(string content, string? reasoning, ReplyToken[]? tokens, string finishReason = "stop") =>
        $$$$"""
            {"id":"chatcmpl-431","object":"chat.completion","created":1764000000,"model":"qwen3:0.6b","system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}}{{{{(reasoning is null ? "" : $",\"reasoning\":{Text(reasoning)}")}}}}},"finish_reason":"{{{{finishReason}}}}"{{{{(
                tokens is null ? "" : $$$$""","logprobs":{"content":[{{{{List(tokens, OllamaEntry)}}}}]}"""
            )}}}}}],"usage":{"prompt_tokens":14,"completion_tokens":{{{{(tokens?.Length ?? 4) + 1}}}},"total_tokens":{{{{15
                + (tokens?.Length ?? 4)}}}}}}
            """;

    /// <summary>Text Generation Inference: tokens by their text alone.</summary>
    public static string Tgi(string content, ReplyToken[]? tokens, string finishReason = "stop") =>
        $$$$"""
            {"object":"chat.completion","id":"","created":1764000000,"model":"teacher","system_fingerprint":"3.3.6-native","choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}}},"logprobs":{{{{(
                tokens is null ? Nothing : $$$$"""{"content":[{{{{List(tokens, TgiEntry)}}}}]}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}"}],"usage":{"prompt_tokens":2,"completion_tokens":{{{{tokens?.Length
                ?? 4}}}},"total_tokens":{{{{2 + (tokens?.Length ?? 4)}}}}}}
            """;

    /// <summary>This project's server: ids and true bytes, the end of sequence listed.</summary>
    public static string TraceDistill(string content, ReplyToken[]? tokens, string finishReason = "stop") =>
        $$$$"""
            {"id":"chatcmpl-019a","object":"chat.completion","created":1764000000,"model":"teacher","prompt_token_ids":[5,6],"choices":[{"index":0,"message":{"role":"assistant","content":{{{{Text(
                content
            )}}}},"refusal":null},"logprobs":{{{{(
                tokens is null ? Nothing : $$$$"""{"content":[{{{{List(tokens, LlamaEntry)}}}}]}"""
            )}}}},"finish_reason":"{{{{finishReason}}}}","token_ids":{{{{(
                tokens is null ? Nothing : Ids(tokens)
            )}}}}}],"usage":{"prompt_tokens":2,"completion_tokens":{{{{tokens?.Length ?? 4}}}},"total_tokens":{{{{2
                + (tokens?.Length ?? 4)}}}}}}
            """;

    /// <summary><c>/models</c> as a server with this owner lists them.</summary>
    public static string Models(string model, string ownedBy) =>
        $$$$"""
            {"object":"list","data":[{"id":{{{{Text(model)}}}},"object":"model","created":1764000000,"owned_by":{{{{Text(ownedBy)}}}}}]}
            """;

    static string OpenAIEntry(ReplyToken token) =>
        $$$$"""{"token":{{{{Text(token.Text)}}}},"logprob":{{{{Number(token.Logprob)}}}},"bytes":{{{{Bytes(token.Text)}}}},"top_logprobs":[{{{{string.Join(',', token.Top.Select(top => $$$$"""{"token":{{{{Text(top.Text)}}}},"logprob":{{{{Number(top.Logprob)}}}},"bytes":{{{{Bytes(top.Text)}}}}}"""))}}}}]}""";

    static string VllmEntry(ReplyToken token, bool asTokenIds)
    {
        return $$$$"""{{{{{One(token.Id, token.Text, token.Logprob)}}}},"top_logprobs":[{{{{string.Join(',', token.Top.Select(top => $$$$"""{{{{{One(top.Id, top.Text, top.Logprob)}}}}}"""))}}}}]}""";

        string One(int id, string text, double logprob) =>
            $"\"token\":{Text(asTokenIds ? $"token_id:{id}" : text)},\"logprob\":"
            + $"{Number(logprob)},\"bytes\":{Bytes(asTokenIds ? $"token_id:{id}" : text)}";
    }

    static string LlamaEntry(ReplyToken token)
    {
        return $$$$"""{{{{{One(token.Id, token.Text, token.Logprob)}}}},"top_logprobs":[{{{{string.Join(',', token.Top.Select(top => $$$$"""{{{{{One(top.Id, top.Text, top.Logprob)}}}}}"""))}}}}]}""";

        static string One(int id, string text, double logprob)
        {
            var shown = id == ReplyToken.EndOfSequenceId ? "" : text;
            return $"\"id\":{id},\"token\":{Text(shown)},\"bytes\":{Bytes(shown)},\"logprob\":"
                + $"{(logprob <= -9999 ? "-3.4028234663852886e+38" : Number(logprob))}";
        }
    }

    static string OllamaEntry(ReplyToken token) =>
        $$$$"""{"token":{{{{Text(token.Text)}}}},"logprob":{{{{Number(token.Logprob)}}}},"bytes":{{{{Bytes(token.Text)}}}},"top_logprobs":[{{{{string.Join(',', token.Top.Select(top => $$$$"""{"token":{{{{Text(top.Text)}}}},"logprob":{{{{Number(top.Logprob)}}}},"bytes":{{{{Bytes(top.Text)}}}}}"""))}}}}]}""";

    static string TgiEntry(ReplyToken token) =>
        $$$$"""{"token":{{{{Text(token.Text)}}}},"logprob":{{{{Number(token.Logprob)}}}},"top_logprobs":[{{{{string.Join(',', token.Top.Select(top => $$$$"""{"token":{{{{Text(top.Text)}}}},"logprob":{{{{Number(top.Logprob)}}}}}"""))}}}}]}""";

    static string List(ReplyToken[] tokens, Func<ReplyToken, string> entry) => string.Join(',', tokens.Select(entry));

    static string Ids(ReplyToken[] tokens) => $"[{string.Join(',', tokens.Select(token => token.Id))}]";

    static string Bytes(string text) => $"[{string.Join(',', Encoding.UTF8.GetBytes(text))}]";

    static string Text(string? text) => text is null ? Nothing : JsonValue.Create(text)!.ToJsonString();

    static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
