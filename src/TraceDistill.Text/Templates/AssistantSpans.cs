using System.Text.Json;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Templates;

/// <summary>Finds what the assistant said in a rendered conversation by comparing it with the renderings of its beginnings.</summary>
static class AssistantSpans
{
    /// <summary>
    /// A turn is what its own rendering has more than the prompt before it: with p the first i messages and a generation prompt, and t the
    /// first i + 1 without one, turn i is t less p. It has a span where p begins t and t, to the end of the turn, begins the whole text.
    /// Where it does not, the template prompts with or makes of the turn something else than stands in the text (as those do that strip
    /// thinking from history or open it in the prompt), so the text is not what a model would have generated, and the turn has none.
    /// </summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="text">All of it rendered.</param>
    /// <param name="endOfTurn">Text that ends the assistant's turns. Anything the template writes behind it is not the assistant's.</param>
    /// <param name="render">Renders the first few messages, with or without a generation prompt.</param>
    public static List<Range> ByPrefixDifference(
        IReadOnlyList<JsonElement> messages,
        string text,
        string? endOfTurn,
        Func<int, bool, string> render
    )
    {
        var spans = new List<Range>();
        for (var turn = 0; turn < messages.Count; turn++)
        {
            if (
                Field(messages[turn], "role") == "assistant"
                && Beginnings(turn, render) is var (prompt, through)
                && through.StartsWith(prompt, StringComparison.Ordinal)
            )
            {
                var end = EndOf(through, prompt.Length, Field(messages[turn], "content") ?? "", endOfTurn);
                if (text.AsSpan().StartsWith(through.AsSpan(0, end)))
                {
                    spans.Add(prompt.Length..end);
                }
            }
        }

        return spans;
    }

    /// <summary>Null where the template takes the whole conversation but not its beginning, such as one that the assistant opens.</summary>
    static (string Prompt, string Through)? Beginnings(int turn, Func<int, bool, string> render)
    {
        try
        {
            return (render(turn, true), render(turn + 1, false));
        }
        catch (InvalidInputException)
        {
            return null;
        }
    }

    /// <summary>Behind the first end-of-turn after the content, or else the end of the text.</summary>
    static int EndOf(string through, int start, string content, string? endOfTurn)
    {
        if (string.IsNullOrEmpty(endOfTurn))
        {
            return through.Length;
        }
        var said = content.Trim();
        var at = through.IndexOf(said, start, StringComparison.Ordinal);
        var end = through.IndexOf(endOfTurn, at < 0 ? start : at + said.Length, StringComparison.Ordinal);
        return end < 0 ? through.Length : end + endOfTurn.Length;
    }

    static string? Field(JsonElement message, string name) =>
        message.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
