using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Text as it is written, and which of it generation blocks wrote.</summary>
sealed class JinjaOutput
{
    readonly StringBuilder _text = new();
    readonly List<Range> _generated = [];

    /// <summary>Ranges that generation blocks wrote, in order, without overlap.</summary>
    public IReadOnlyList<Range> Generated => _generated;

    public void Write(string text) => _text.Append(text);

    /// <summary>Writes a text of which parts are known to come from generation blocks.</summary>
    public void Write(string text, IReadOnlyList<Range> generated)
    {
        var start = _text.Length;
        _generated.AddRange(generated.Select(span => (start + span.Start.Value)..(start + span.End.Value)));
        _text.Append(text);
    }

    /// <summary>Runs a generation block; blocks within it are part of it.</summary>
    public T Generate<T>(Func<T> run)
    {
        var start = _text.Length;
        var result = run();
        if (_text.Length > start)
        {
            _generated.RemoveAll(span => span.Start.Value >= start);
            _generated.Add(start.._text.Length);
        }

        return result;
    }

    public override string ToString() => _text.ToString();
}
