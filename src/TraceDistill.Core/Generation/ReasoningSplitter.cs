namespace TraceDistill.Core.Generation;

/// <summary>Parts a generation into reasoning and answer at its think tags, and joins them again.</summary>
public static class ReasoningSplitter
{
    /// <summary>Stands before the reasoning.</summary>
    public const string Open = "<think>";

    /// <summary>Stands between reasoning and answer.</summary>
    public const string Close = "</think>";

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

    /// <summary>Reasoning and answer as one assistant turn; of a generation that a server took apart, the raw text as near as it can be known.</summary>
    public static string Join(string reasoning, string answer) => $"{Open}{reasoning}{Close}{answer}";
}
