namespace TraceDistill.Text.Tokenizers.Spans;

/// <summary>
/// A stretch of text, half-open: from <paramref name="Start"/> up to, and without, <paramref name="End"/>. The unit is the owner's to say.
/// </summary>
public readonly record struct TextSpan(int Start, int End);
