namespace TraceDistill.Core.Generation;

/// <summary>Parts a generation into reasoning and answer at its think tags.</summary>
public static class ReasoningSplitter
{
    const string Open = "<think>";
    const string Close = "</think>";

    /// <remarks>
    /// Templates that end in <c>&lt;think&gt;</c> leave only the closing tag in the output. A generation cut off inside the reasoning has
    /// only the opening tag: all of it is reasoning and the answer is empty. Text without tags is all answer.
    /// </remarks>
    public static (string Reasoning, string Answer) Split(string text)
    {
        var body = text.AsSpan().TrimStart();
        var opened = body.StartsWith(Open);
        if (opened)
        {
            body = body[Open.Length..];
        }

        var close = body.IndexOf(Close);
        if (close >= 0)
        {
            return (body[..close].Trim().ToString(), body[(close + Close.Length)..].Trim().ToString());
        }

        return opened ? (body.Trim().ToString(), "") : ("", text.Trim());
    }

    /// <summary>The raw text, as near as it can be known, of a generation whose server took the reasoning out of it.</summary>
    public static string Join(string reasoning, string content) => $"{Open}{reasoning}{Close}{content}";
}
