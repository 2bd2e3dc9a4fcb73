using System.Text;

namespace TraceDistill.Core.Generation;

/// <summary>Parts a generation into reasoning and answer at its think tags, and joins them again.</summary>
public static class ReasoningSplitter
{
    /// <summary>Stands before the reasoning.</summary>
    public const string Open = "<think>";

    /// <summary>Stands between reasoning and answer.</summary>
    public const string Close = "</think>";

    /// <param name="text">The raw text as generated.</param>
    /// <param name="isOpened">Whether the prompt ended in <see cref="Open"/>, so that the text begins within the reasoning.</param>
    /// <remarks>
    /// Templates that end in <c>&lt;think&gt;</c> leave only the closing tag in the output, which tells as much even where it is not known. A
    /// generation cut off inside the reasoning has no closing tag: what stands behind the opening one is reasoning. Of several blocks, all that is
    /// within them is reasoning, with blank lines between, and all that is outside is answer. Text without tags is all answer.
    /// </remarks>
    public static (string Reasoning, string Answer) Split(string text, bool isOpened = false)
    {
        var rest = text.AsSpan().TrimStart();
        if (rest.StartsWith(Open))
        {
            rest = rest[Open.Length..];
        }
        else if (!isOpened && !ClosesFirst(rest))
        {
            // A tag that nothing closes is a word of the answer.
            return ClosesLater(rest) ? SplitBlocks(rest, isInside: false) : ("", text.Trim());
        }

        return SplitBlocks(rest, isInside: true);
    }

    /// <summary>Reasoning and answer as one assistant turn; of a generation that a server took apart, the raw text as near as it can be known.</summary>
    public static string Join(string reasoning, string answer) => $"{Open}{reasoning}{Close}{answer}";

    static (string Reasoning, string Answer) SplitBlocks(ReadOnlySpan<char> rest, bool isInside)
    {
        var (reasoning, answer) = (new StringBuilder(), new StringBuilder());
        while (true)
        {
            var tag = isInside ? Close : Open;
            var end = rest.IndexOf(tag);
            Append(isInside ? reasoning : answer, end < 0 ? rest : rest[..end]);
            if (end < 0)
            {
                return (reasoning.ToString(), answer.ToString());
            }

            rest = rest[(end + tag.Length)..];
            isInside = !isInside;
        }
    }

    static bool ClosesFirst(ReadOnlySpan<char> text)
    {
        var (open, close) = (text.IndexOf(Open), text.IndexOf(Close));
        return close >= 0 && (open < 0 || close < open);
    }

    static bool ClosesLater(ReadOnlySpan<char> text) => text.IndexOf(Open) is >= 0 and var open && text[open..].IndexOf(Close) >= 0;

    static void Append(StringBuilder part, ReadOnlySpan<char> piece)
    {
        piece = piece.Trim();
        if (piece.Length > 0)
        {
            part.Append(part.Length == 0 ? "" : "\n\n").Append(piece);
        }
    }
}
