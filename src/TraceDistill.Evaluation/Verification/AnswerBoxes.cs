using TraceDistill.Evaluation.Verification.Prose;

namespace TraceDistill.Evaluation.Verification;

/// <summary>Boxes that set an answer apart: <c>\boxed{…}</c> and its like.</summary>
static class AnswerBoxes
{
    /// <summary>Most boxes that are one list.</summary>
    const int MaxBoxes = 64;

    /// <summary>Longest content, in characters, of a box without braces.</summary>
    const int MaxUnbraced = 80;

    // The mark of a family of models, whose tokens are left in the text by some servers.
    const string Open = "<|begin_of_box|>",
        Shut = "<|end_of_box|>";

    static readonly string[] BoxCommands = [@"\boxed", @"\fbox", @"\framebox"];

    static readonly char[] Separators = [' ', '$', ',', ';', '\n', '}', '{', '\\', '(', ')', '&', '、', '，'];

    /// <summary>The content of the last box, or of all boxes of the list that it ends.</summary>
    /// <param name="end">Where the last box ends.</param>
    /// <param name="isVoid">True where the last box is empty, not closed or denied.</param>
    public static string? Last(string text, out int end, out bool isVoid)
    {
        (end, isVoid) = (0, false);
        if (
            text.LastIndexOf(Open, StringComparison.Ordinal) is >= 0 and var open
            && text.IndexOf(Shut, open, StringComparison.Ordinal) is > 0 and var shut
        )
        {
            end = shut + Shut.Length;
            return text[(open + Open.Length)..shut].Trim() is { Length: > 0 } marked ? marked : null;
        }

        var contents = new List<string>();
        var before = text.Length;
        while (contents.Count < MaxBoxes && LastBox(text, before) is { } box)
        {
            if (contents.Count == 0)
            {
                end = box.End;
                isVoid = string.IsNullOrWhiteSpace(box.Content) || Denial.IsBefore(text, box.Start);
                if (isVoid)
                {
                    return null;
                }
            }
            else if (string.IsNullOrWhiteSpace(box.Content) || box.End > before || !IsBetweenItems(text[box.End..before]))
            {
                break;
            }

            contents.Add(box.Content!.Trim());
            before = box.Start;
        }

        contents.Reverse();
        return contents.Count == 0 ? null : string.Join(", ", contents);
    }

    /// <summary>The last box that starts before a place; its content is null where nothing closes it.</summary>
    static (string? Content, int Start, int End)? LastBox(string text, int before)
    {
        while (before > 0)
        {
            // All names of the command hold this word; one search for it keeps the time linear.
            var word = text.LastIndexOf("box", before - 1, StringComparison.Ordinal);
            if (word < 0)
            {
                return null;
            }

            before = word;
            if (BoxCommands.FirstOrDefault(name => IsAt(text, name, word)) is not { } command)
            {
                continue;
            }

            var start = word - command.IndexOf("box", StringComparison.Ordinal);
            var at = start + command.Length;
            while (at < text.Length && text[at] is ' ' or '\n' or '\t' && at - start < 40)
            {
                at++;
            }

            if (at >= text.Length)
            {
                return (null, start, at);
            }

            if (text[at] == '{')
            {
                var close = Close(text, at);
                return close < 0 ? (null, start, text.Length) : (text[(at + 1)..close], start, close + 1);
            }

            // \boxed 7 is a box, "\boxed as you asked" the name of one.
            var stop = at;
            while (stop < text.Length && !char.IsWhiteSpace(text[stop]) && text[stop] != '$' && stop - at < MaxUnbraced)
            {
                stop++;
            }

            var content = text[at..stop].TrimEnd('.', ',');
            if (
                content.Length == 1 && char.IsLetterOrDigit(content[0])
                || content.Length > 1 && !char.IsLetter(content[0]) && content.Any(char.IsAsciiDigit)
            )
            {
                return (content, start, stop);
            }
        }

        return null;
    }

    /// <summary>Returns whether a box command stands where its "box" was found.</summary>
    static bool IsAt(string text, string command, int box)
    {
        var start = box - command.IndexOf("box", StringComparison.Ordinal);
        return start >= 0 && text.AsSpan(start).StartsWith(command, StringComparison.Ordinal);
    }

    static int Close(string text, int open)
    {
        var depth = 0;
        for (var i = open; i < text.Length; i++)
        {
            if (text[i] == '\\')
            {
                i++; // \{ and \} are text
            }
            else if (text[i] == '{')
            {
                depth++;
            }
            else if (text[i] == '}' && --depth == 0)
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>
    /// Returns whether only a comma, an "and" or a name with an equals sign stands between two boxes: they are items of one list.
    /// </summary>
    static bool IsBetweenItems(string between)
    {
        if (between.Length > 40)
        {
            return false;
        }

        var words = between.Replace("\\text{", " ").Replace("\\quad", " ").Split(Separators, StringSplitOptions.RemoveEmptyEntries);
        return (between.AsSpan().ContainsAny(",;&、，") || words.Any(IsAnd))
            && words.All(word =>
                IsAnd(word) || word == "=" || word.Length == 1 && char.IsLetter(word[0]) || word.Length == 2 && word[1] == '='
            );

        static bool IsAnd(string word) => word is "and" or "or" or "und" or "et" or "y";
    }
}
