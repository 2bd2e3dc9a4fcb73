using System.Text;
using System.Text.Json;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Probe;

/// <summary>What one whole answer shows.</summary>
/// <param name="ReasoningLogprobs">Whether the tokens of the reasoning are listed; null where there was none, or no logprobs.</param>
/// <param name="EndOfSequenceLogprobs">Whether the token that ended the answer is listed; null where the answer was cut off, or had no logprobs.</param>
/// <param name="OpensThinking">Whether the answer began within the reasoning.</param>
sealed record AnswerFacts(bool? ReasoningLogprobs, bool? EndOfSequenceLogprobs, bool OpensThinking)
{
    /// <param name="response">A chat completion that was asked for without token ids, so that tokens are text.</param>
    public static AnswerFacts Of(JsonElement response)
    {
        var message = response.Find("choices", 0, "message");
        var content = message?.Text("content") ?? "";
        var reasoning = message?.Text("reasoning") ?? message?.Text("reasoning_content");
        var tokens = response.Find("choices", 0, "logprobs", "content") is { ValueKind: JsonValueKind.Array } list ? list.EnumerateArray().ToArray() : null;
        var apart = response.Find("choices", 0, "logprobs", "reasoning_content") is { ValueKind: JsonValueKind.Array } own ? own.GetArrayLength() : 0;
        var generated = response.Find("usage", "completion_tokens") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var count) ? count : (int?)null;
        var hidden = response.Find("usage", "completion_tokens_details", "reasoning_tokens") is { ValueKind: JsonValueKind.Number } inside && inside.TryGetInt32(out var many) ? many : 0;
        var hasReasoning = !string.IsNullOrEmpty(reasoning) || hidden > 0 || content.Contains(ReasoningSplitter.Close, StringComparison.Ordinal);
        var isEnded = response.Find("choices", 0)?.Text("finish_reason") == "stop";
        return new AnswerFacts(
            tokens is null || !hasReasoning || generated is null ? null : tokens.Length + apart >= generated - 1,
            tokens is null or [] || !isEnded ? null : IsEndOfSequence(tokens[^1], content),
            string.IsNullOrEmpty(reasoning) && BeginsWithinThinking(content));
    }

    /// <summary>How many answers there are.</summary>
    public static int Choices(JsonElement response) => response.Find("choices") is { ValueKind: JsonValueKind.Array } choices ? choices.GetArrayLength() : 0;

    /// <summary>A token that is no text of the answer's end.</summary>
    static bool IsEndOfSequence(JsonElement token, string content)
    {
        var text = (token.Find("bytes") is { ValueKind: JsonValueKind.Array } bytes
            ? Encoding.UTF8.GetString([.. bytes.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetByte(out var value) ? value : (byte)'?')])
            : token.Text("token") ?? "").Trim();
        return text.Length == 0 || !content.TrimEnd().EndsWith(text, StringComparison.Ordinal);
    }

    static bool BeginsWithinThinking(string content)
    {
        var (open, close) = (content.IndexOf(ReasoningSplitter.Open, StringComparison.Ordinal), content.IndexOf(ReasoningSplitter.Close, StringComparison.Ordinal));
        return close >= 0 && (open < 0 || close < open);
    }
}
