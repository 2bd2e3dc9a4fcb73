namespace TraceDistill.Data.Contracts;

/// <summary>A stretch of a text that is shown to people.</summary>
/// <param name="IsEmphasised">True where it is set off from the rest.</param>
public readonly record struct TextStretch(string Text, bool IsEmphasised)
{
    /// <summary>The text with what is emphasised between ⟦ and ⟧, for where there are no colours.</summary>
    public static string Marked(IEnumerable<TextStretch> text) =>
        string.Concat(text.Select(stretch => stretch.IsEmphasised ? $"⟦{stretch.Text}⟧" : stretch.Text));
}
