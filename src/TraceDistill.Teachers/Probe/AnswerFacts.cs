using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Probe;

/// <summary>Facts that one whole answer shows.</summary>
/// <param name="ReasoningLogprobs">True where the tokens of the reasoning are listed; null where there was none, or no logprobs.</param>
/// <param name="EndOfSequenceLogprobs">
/// True where the token that ended the answer is listed; null where the answer was cut off, or had no logprobs.
/// </param>
/// <param name="OpensThinking">True where the answer began within the reasoning.</param>
sealed record AnswerFacts(bool? ReasoningLogprobs, bool? EndOfSequenceLogprobs, bool OpensThinking)
{
    /// <param name="response">A chat completion that was asked for without token ids, so that tokens are text.</param>
    public static AnswerFacts Of(JsonElement response)
    {
        var content = response.Text("choices", 0, "message", "content") ?? "";
        var reasoning = response.Text("choices", 0, "message", "reasoning") ?? response.Text("choices", 0, "message", "reasoning_content");
        var tokens = response.Find("choices", 0, "logprobs", "content") is { ValueKind: JsonValueKind.Array } list
            ? list.EnumerateArray().ToArray()
            : null;
        var apart = response.Items("choices", 0, "logprobs", "reasoning_content").Count;
        var generated = response.Count("usage", "completion_tokens");
        var hidden = response.Count("usage", "completion_tokens_details", "reasoning_tokens") ?? 0;
        var (inline, answer) = ReasoningSplitter.Split(content);
        var thought = string.IsNullOrEmpty(reasoning) ? inline : reasoning;
        var isEnded = response.Text("choices", 0, "finish_reason") is { } reason && FinishReasons.IsNatural(reason);
        return new AnswerFacts(
            tokens is null || generated is null || (thought.Length == 0 && hidden == 0)
                ? null
                : IsListed(generated.Value, tokens.Length + apart, hidden, thought.Length, answer.Length),
            tokens is null or [] || !isEnded ? null : IsEndOfSequence(tokens[^1], content),
            string.IsNullOrEmpty(reasoning) && BeginsWithinThinking(content)
        );
    }

    /// <summary>
    /// Returns whether the tokens that are missing are fewer than half of what the reasoning must have taken: a few are missing where
    /// characters are of several
    /// tokens, or the end is not listed, and nearly all where a server keeps its reasoning to itself.
    /// </summary>
    static bool IsListed(int generated, int listed, int hidden, int thought, int answered)
    {
        var reasoning = hidden > 0 ? hidden : (double)generated * thought / Math.Max(1, thought + answered);
        return 2 * (generated - listed - 1) < Math.Max(1, reasoning);
    }

    /// <summary>Number of answers.</summary>
    public static int Choices(JsonElement response) => response.Items("choices").Count;

    /// <summary>A token that is no text of the answer's end.</summary>
    static bool IsEndOfSequence(JsonElement token, string content)
    {
        var text = (
            token.Find("bytes") is { ValueKind: JsonValueKind.Array } bytes
                ? Encoding.UTF8.GetString([
                    .. bytes
                        .EnumerateArray()
                        .Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetByte(out var value) ? value : (byte)'?'),
                ])
                : token.Text("token") ?? ""
        ).Trim();
        return text.Length == 0 || !content.TrimEnd().EndsWith(text, StringComparison.Ordinal);
    }

    static bool BeginsWithinThinking(string content) =>
        ReasoningMarkers.Known.Any(markers =>
            content.IndexOf(markers.Close, StringComparison.Ordinal) is >= 0 and var close
            && content.IndexOf(markers.Open, StringComparison.Ordinal) is var open
            && (open < 0 || close < open)
            && markers != ReasoningMarkers.Harmony
        );
}
