using System.Text;

namespace TraceDistill.Text.Chat;

/// <summary>Parts a generation into reasoning and answer at the marks around its reasoning, and joins them again.</summary>
public static class ReasoningSplitter
{
    /// <summary>Stands before the reasoning, as this program writes it.</summary>
    public const string Open = "<think>";

    /// <summary>Stands between reasoning and answer, as this program writes it.</summary>
    public const string Close = "</think>";

    /// <param name="text">The raw text as generated.</param>
    /// <param name="isOpened">True where the prompt ended within the reasoning, so that the text begins there.</param>
    /// <param name="markers">
    /// The marks of the model; null where they are not known. A text that begins with others
    /// that are known, or only closes them, is parted at those.
    /// </param>
    /// <remarks>
    /// Templates that end in the opening mark leave only the closing one in the output, which tells as much even
    /// where it is not known. A generation cut off inside the reasoning has no closing mark: what stands behind
    /// the opening one is reasoning, and the answer is empty. Of several blocks, all that is within them is
    /// reasoning, with blank lines between, and all that is outside is answer. Text without marks is all answer.
    /// </remarks>
    public static (string Reasoning, string Answer) Split(string text, bool isOpened = false, ReasoningMarkers? markers = null)
    {
        markers = ReasoningMarkers.In(text, markers);
        if (markers == ReasoningMarkers.Harmony)
        {
            return HarmonyChannels.Split(text, isOpened);
        }

        var rest = text.AsSpan().TrimStart();
        if (rest.StartsWith(markers.Open, StringComparison.Ordinal))
        {
            rest = rest[markers.Open.Length..];
        }
        else if (!isOpened && !markers.ClosesFirst(rest))
        {
            // A mark that nothing closes is a word of the answer.
            return ClosesLater(rest, markers) ? SplitBlocks(rest, markers, isInside: false) : ("", text.Trim());
        }

        return SplitBlocks(rest, markers, isInside: true);
    }

    /// <summary>
    /// Reasoning and answer as one assistant turn; of a generation that a server took apart, the raw text as near as it can be known.
    /// </summary>
    public static string Join(string reasoning, string answer) => $"{Open}{reasoning}{Close}{answer}";

    /// <summary>Adds a piece to the reasoning or to the answer, with a blank line between it and what is there.</summary>
    internal static void Append(StringBuilder part, ReadOnlySpan<char> piece)
    {
        piece = piece.Trim();
        if (piece.Length > 0)
        {
            part.Append(part.Length == 0 ? "" : "\n\n").Append(piece);
        }
    }

    static (string Reasoning, string Answer) SplitBlocks(ReadOnlySpan<char> rest, ReasoningMarkers markers, bool isInside)
    {
        var (reasoning, answer) = (new StringBuilder(), new StringBuilder());
        while (true)
        {
            var mark = isInside ? markers.Close : markers.Open;
            var end = rest.IndexOf(mark, StringComparison.Ordinal);
            Append(isInside ? reasoning : answer, end < 0 ? rest : rest[..end]);
            if (end < 0)
            {
                return (reasoning.ToString(), answer.ToString());
            }

            rest = rest[(end + mark.Length)..];
            isInside = !isInside;
        }
    }

    static bool ClosesLater(ReadOnlySpan<char> text, ReasoningMarkers markers) =>
        text.IndexOf(markers.Open, StringComparison.Ordinal) is >= 0 and var open
        && text[open..].IndexOf(markers.Close, StringComparison.Ordinal) >= 0;
}
