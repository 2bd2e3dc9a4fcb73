namespace TraceDistill.Data.Problems.Files;

/// <summary>The answer that a worked solution puts into its last <c>\boxed{…}</c>.</summary>
static class BoxedAnswer
{
    const string Command = @"\boxed";

    /// <returns>The box's content; null where there is none, or it is blank or not closed.</returns>
    /// <remarks>Of <c>\boxed 2$</c>, which MATH has too, all up to the dollar sign.</remarks>
    public static string? Find(string text)
    {
        var start = text.LastIndexOf(Command, StringComparison.Ordinal);
        if (start < 0)
        {
            return null;
        }

        var rest = text.AsSpan(start + Command.Length).TrimStart();
        if (rest.StartsWith("{"))
        {
            var end = Closing(rest);
            return end < 0 ? null : NullIfBlank(rest[1..end]);
        }

        var dollar = rest.IndexOfAny('$', '\n');
        return NullIfBlank(dollar < 0 ? rest : rest[..dollar]);
    }

    static int Closing(ReadOnlySpan<char> text)
    {
        var depth = 0;
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '\\':
                    i++; // \{ and \} are text
                    break;
                case '{':
                    depth++;
                    break;
                case '}' when --depth == 0:
                    return i;
            }
        }

        return -1;
    }

    static string? NullIfBlank(ReadOnlySpan<char> text) => text.IsWhiteSpace() ? null : text.Trim().ToString();
}
