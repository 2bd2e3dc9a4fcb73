namespace TraceDistill.Text.Tokenizers;

/// <summary>Application of a tokenizer's rules: text to ids and back. Safe to use from any thread.</summary>
interface ITextCoder
{
    /// <summary>True where something may be put before a text that is encoded.</summary>
    bool Prepends { get; }

    /// <summary>True where the bytes of tokens, one after the other, are the text that they decode to.</summary>
    bool HasExactBytes { get; }

    /// <summary>Appends the ids of a text.</summary>
    void Encode(string text, List<int> ids, bool addSpecialTokens);

    /// <summary>The ids of a text, and where in it each of them stands; null where that cannot be told.</summary>
    TokenizedText? EncodeWithSpans(string text, bool addSpecialTokens);

    /// <summary>The ids of each text as it stands within another: nothing is put before it.</summary>
    int[][] EncodeWithin(IReadOnlyList<string> texts);

    string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens);
}
