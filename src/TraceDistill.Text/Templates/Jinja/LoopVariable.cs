namespace TraceDistill.Text.Templates.Jinja;

/// <summary>The variable <c>loop</c> inside of a <c>for</c>.</summary>
sealed class LoopVariable(IReadOnlyList<object?> items)
{
    /// <summary>Position of the current item, from zero.</summary>
    public int Index { get; set; }

    public object? Attribute(string name) =>
        name switch
        {
            "index" => Index + 1L,
            "index0" => (long)Index,
            "revindex" => (long)(items.Count - Index),
            "revindex0" => (long)(items.Count - Index - 1),
            "first" => Index == 0,
            "last" => Index == items.Count - 1,
            "length" => (long)items.Count,
            "previtem" when Index > 0 => items[Index - 1],
            "nextitem" when Index + 1 < items.Count => items[Index + 1],
            _ => new Undefined(name),
        };
}
