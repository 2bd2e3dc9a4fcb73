using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Shards;

/// <summary>
/// The assistant's turn that ends <c>messages</c> in a shard, so that other trainers can learn from the conversation as it stands. It is
/// made of a trace's
/// other columns and not read back.
/// </summary>
static class FinalTurn
{
    public const string Role = "assistant";

    /// <summary>
    /// Reasoning and answer as Qwen, DeepSeek and most data sets of traces write them: <c>&lt;think&gt;</c>, the reasoning and
    /// <c>&lt;/think&gt;</c> on lines of their own, a blank line, the answer.
    /// </summary>
    /// <remarks>A text that ends within its reasoning has no closing tag: it would teach a student to think and say nothing.</remarks>
    public static ChatMessage Of(Trace trace) =>
        new(
            Role,
            (trace.Reasoning, trace.Answer) switch
            {
                ("", var answer) => answer,
                (var reasoning, "") when !FinishReasons.IsNatural(trace.FinishReason) => $"{ReasoningSplitter.Open}\n{reasoning}",
                var (reasoning, answer) => $"{ReasoningSplitter.Open}\n{reasoning}\n{ReasoningSplitter.Close}\n\n{answer}",
            }
        );
}
