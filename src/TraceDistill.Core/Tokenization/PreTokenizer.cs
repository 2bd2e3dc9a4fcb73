namespace TraceDistill.Core.Tokenization;

/// <summary>Cuts text into the pieces that are merged one by one: the steps in order, each on the pieces of the one before.</summary>
/// <param name="splitters">The steps.</param>
/// <param name="addPrefixSpace">Whether text that does not start with a space gets one.</param>
/// <param name="metaspace">What becomes of spaces; null: they stay.</param>
sealed class PreTokenizer(IReadOnlyList<ISplitter> splitters, bool addPrefixSpace, Metaspace? metaspace = null)
{
    public bool AddPrefixSpace => addPrefixSpace;

    public Metaspace? Metaspace => metaspace;

    /// <summary>The steps as tokenizer.json has them.</summary>
    public IReadOnlyList<SplitRule> Rules => [.. splitters.OfType<RegexSplitter>().Select(splitter => splitter.Rule)];

    /// <summary>Fills <paramref name="pieces"/> with the pieces of a text that is not empty.</summary>
    public void Split(ReadOnlySpan<char> text, List<Piece> pieces)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            ApplySteps(text, pieces);
            return;
        }

        var shadow = new BmpShadow(text);
        ApplySteps(shadow.Chars, pieces);
        for (var i = 0; i < pieces.Count; i++)
            pieces[i] = shadow.ToOriginal(pieces[i]);
    }

    void ApplySteps(ReadOnlySpan<char> text, List<Piece> pieces)
    {
        pieces.Clear();
        var whole = new Piece(0, text.Length);
        if (splitters.Count == 0)
        {
            pieces.Add(whole);
            return;
        }

        splitters[0].Split(text, whole, pieces);
        foreach (var splitter in splitters.Skip(1))
        {
            var coarse = pieces.ToArray();
            pieces.Clear();
            foreach (var piece in coarse)
                splitter.Split(text, piece, pieces);
        }
    }
}
