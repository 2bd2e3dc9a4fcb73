namespace TraceDistill.Core.Tokenization;

/// <summary>Cuts text into the pieces that are merged one by one: the steps in order, each on the pieces of the one before.</summary>
/// <param name="splitters">The steps.</param>
/// <param name="addPrefixSpace">Whether text that does not start with a space gets one.</param>
/// <param name="metaspace">What becomes of spaces; null: they stay.</param>
sealed class PreTokenizer(IReadOnlyList<ISplitter> splitters, bool addPrefixSpace, Metaspace? metaspace = null)
{
    // Kept between calls to save the allocation.
    [ThreadStatic]
    static BmpShadow? _shadow;

    [ThreadStatic]
    static List<Piece>? _coarse;

    public bool AddPrefixSpace => addPrefixSpace;

    public Metaspace? Metaspace => metaspace;

    /// <summary>Puts spaces, and what stands for them, where they are wanted in a text that is not empty.</summary>
    /// <param name="text">A stretch between added tokens.</param>
    /// <param name="isStart">Whether the whole text begins with it.</param>
    /// <param name="alignment">Is told what was changed, where it is wanted.</param>
    /// <param name="buffer">May receive the result, which lasts as long as its content does.</param>
    public ReadOnlySpan<char> Prepare(ReadOnlySpan<char> text, bool isStart, TextAlignment? alignment, List<char> buffer)
    {
        if (addPrefixSpace && text[0] != ' ')
        {
            text = string.Concat(" ", text);
            alignment?.Prepend(1);
        }

        return metaspace is null ? text : metaspace.Apply(text, isStart, alignment, buffer);
    }

    /// <summary>The steps as tokenizer.json has them.</summary>
    public IReadOnlyList<SplitRule> Rules => [.. splitters.Select(splitter => splitter.Rule)];

    /// <summary>Fills <paramref name="pieces"/> with the pieces of a text that is not empty.</summary>
    public void Split(ReadOnlySpan<char> text, List<Piece> pieces)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            ApplySteps(text, pieces);
            return;
        }

        var shadow = _shadow ??= new BmpShadow();
        ApplySteps(shadow.Of(text), pieces);
        for (var i = 0; i < pieces.Count; i++)
            pieces[i] = shadow.ToOriginal(pieces[i]);
    }

    void ApplySteps(ReadOnlySpan<char> text, List<Piece> pieces)
    {
        var coarse = _coarse ??= [];
        pieces.Clear();
        pieces.Add(new Piece(0, text.Length));
        for (var i = 0; i < splitters.Count; i++)
        {
            coarse.Clear();
            coarse.AddRange(pieces);
            pieces.Clear();
            foreach (var piece in coarse)
                splitters[i].Split(text, piece, pieces);
        }
    }
}
