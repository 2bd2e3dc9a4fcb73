using System.Text;

namespace TraceDistill.Text.Chat;

/// <summary>
/// Parts a generation in OpenAI's harmony format: messages, each <c>&lt;|channel|&gt;name&lt;|message|&gt;text</c> up to its end.
/// </summary>
static class HarmonyChannels
{
    const string Channel = "<|channel|>";
    const string Message = "<|message|>";
    const string Final = "final";

    /// <summary>Names of the channels, all that is left of them in the text of a model that is asked for no special tokens.</summary>
    const string PlainAnalysis = "analysis",
        PlainFinal = "assistantfinal";

    static readonly string[] Ends = ["<|end|>", "<|return|>", "<|call|>", "<|start|>", Channel];

    /// <param name="text">The raw text as generated.</param>
    /// <param name="isOpened">True where the prompt ended within the analysis.</param>
    public static (string Reasoning, string Answer) Split(string text, bool isOpened)
    {
        var rest = text.AsSpan();
        if (!text.Contains(Channel, StringComparison.Ordinal))
        {
            return SplitPlain(rest.Trim(), isOpened);
        }

        var (reasoning, answer) = (new StringBuilder(), new StringBuilder());
        var isAnswer = !isOpened;
        while (true)
        {
            var end = EndOf(rest);
            ReasoningSplitter.Append(isAnswer ? answer : reasoning, rest[..end]);
            var next = rest[end..].IndexOf(Channel, StringComparison.Ordinal);
            if (next < 0)
            {
                return (reasoning.ToString(), answer.ToString());
            }

            rest = rest[(end + next + Channel.Length)..];
            var header = rest.IndexOf(Message, StringComparison.Ordinal);
            if (header < 0)
            {
                // Cut off within a header, which is no text of either part.
                return (reasoning.ToString(), answer.ToString());
            }

            isAnswer = rest[..header].TrimStart().StartsWith(Final, StringComparison.Ordinal);
            rest = rest[(header + Message.Length)..];
        }
    }

    static int EndOf(ReadOnlySpan<char> text)
    {
        var end = text.Length;
        foreach (var mark in Ends)
        {
            end = text[..end].IndexOf(mark, StringComparison.Ordinal) is >= 0 and var at ? at : end;
        }

        return end;
    }

    static (string Reasoning, string Answer) SplitPlain(ReadOnlySpan<char> text, bool isOpened)
    {
        if (!isOpened && !text.StartsWith(PlainAnalysis, StringComparison.Ordinal))
        {
            return ("", text.ToString());
        }

        var start = isOpened ? 0 : PlainAnalysis.Length;
        return text.IndexOf(PlainFinal, StringComparison.Ordinal) is >= 0 and var final
            ? (text[start..final].Trim().ToString(), text[(final + PlainFinal.Length)..].Trim().ToString())
            : (text[start..].Trim().ToString(), "");
    }
}
