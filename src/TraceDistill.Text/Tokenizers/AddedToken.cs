namespace TraceDistill.Text.Tokenizers;

/// <summary>A token that is looked for in the text before it is split, such as an end-of-sequence marker or <c>&lt;think&gt;</c>.</summary>
/// <param name="Content">The text it stands for.</param>
public sealed record AddedToken(string Content)
{
    /// <summary>True where decoding may leave it out.</summary>
    /// <value>true</value>
    public bool Special { get; init; } = true;

    /// <summary>Matches only where no word character stands next to it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Swallows the white space on its left.</summary>
    public bool StripLeft { get; init; }

    /// <summary>Swallows the white space on its right.</summary>
    public bool StripRight { get; init; }

    /// <summary>Looked for after normalisation instead of before.</summary>
    public bool Normalized { get; init; }
}
