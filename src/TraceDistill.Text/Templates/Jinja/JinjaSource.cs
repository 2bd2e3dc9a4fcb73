using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>The text of a template, with line ends as <c>\n</c> and without the one at its end, and what to call it in messages.</summary>
sealed class JinjaSource
{
    public JinjaSource(string name, string text)
    {
        Name = name;
        text = text.Replace("\r\n", "\n").Replace('\r', '\n');
        Text = text.EndsWith('\n') ? text[..^1] : text;
    }

    public string Name { get; }

    public string Text { get; }

    /// <summary>An error at an offset, with line and column counted from one.</summary>
    public InvalidInputException Error(int offset, string message)
    {
        var before = Text.AsSpan(0, Math.Min(offset, Text.Length));
        return new InvalidInputException(
            $"{Name}, line {before.Count('\n') + 1}, column {before.Length - before.LastIndexOf('\n')}: {message}"
        );
    }
}
