using TraceDistill.Text.Tokenizers.Patterns;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.PreTokenizers;

/// <summary>Cuts text into the pieces that are merged one by one: the steps in order, each on the pieces of the one before.</summary>
sealed class PreTokenizer
{
    // Kept between calls to save the allocation.
    [ThreadStatic]
    static BmpShadow? _shadow;

    [ThreadStatic]
    static List<Piece>? _coarse;

    readonly IReadOnlyList<ISplitter> _splitters;

    /// <summary>The steps for text with characters above U+FFFF, and what stands for these; made when such a text comes.</summary>
    readonly Lazy<(StandIns StandIns, ISplitter[] Splitters)> _shadowed;

    /// <param name="splitters">The steps.</param>
    /// <param name="addPrefixSpace">True where text that does not start with a space gets one.</param>
    /// <param name="metaspace">Treatment of spaces; null: they stay.</param>
    /// <param name="spelledSplitters">Steps behind ByteLevel, which see pieces in its alphabet.</param>
    public PreTokenizer(
        IReadOnlyList<ISplitter> splitters,
        bool addPrefixSpace,
        Metaspace? metaspace = null,
        IReadOnlyList<ISplitter>? spelledSplitters = null
    )
    {
        (_splitters, AddPrefixSpace, Metaspace, SpelledSplitters) = (splitters, addPrefixSpace, metaspace, spelledSplitters ?? []);
        _shadowed = new Lazy<(StandIns, ISplitter[])>(() =>
        {
            OnigurumaPattern[] patterns = [.. splitters.Select(splitter => splitter.Pattern ?? OnigurumaPattern.Parse(""))];
            var standIns = new StandIns(patterns);
            return (standIns, [.. splitters.Select((splitter, index) => splitter.On(set => standIns.Units(index, set)))]);
        });
    }

    public bool AddPrefixSpace { get; }

    public Metaspace? Metaspace { get; }

    /// <summary>Steps behind ByteLevel, which cut a piece spelled in <see cref="ByteLevelAlphabet"/>; mostly none.</summary>
    public IReadOnlyList<ISplitter> SpelledSplitters { get; }

    /// <summary>True where something may be put before a text.</summary>
    public bool Prepends => AddPrefixSpace || Metaspace is { Prepends: not MetaspacePrepending.Never };

    /// <summary>The steps as tokenizer.json has them.</summary>
    public IReadOnlyList<SplitRule> Rules => [.. _splitters.Concat(SpelledSplitters).Select(splitter => splitter.Rule)];

    /// <summary>The same for text that stands within another.</summary>
    public PreTokenizer WithoutPrepending() =>
        Prepends
            ? new PreTokenizer(
                _splitters,
                false,
                Metaspace is null ? null : new Metaspace(Metaspace.Mark, MetaspacePrepending.Never),
                SpelledSplitters
            )
            : this;

    /// <summary>Looks whether characters above U+FFFF that patterns name can be distinguished.</summary>
    /// <exception cref="ArgumentException">They cannot.</exception>
    public void Ensure()
    {
        if (_splitters.Any(splitter => splitter.Pattern is { Sets.Count: > 0 }))
        {
            _ = _shadowed.Value;
        }
    }

    /// <summary>Puts spaces, and what stands for them, where they are wanted in a text that is not empty.</summary>
    /// <param name="text">A stretch between added tokens.</param>
    /// <param name="isStart">True where the whole text begins with it.</param>
    /// <param name="alignment">Records what was changed; null where that is not wanted.</param>
    /// <param name="buffer">May receive the result, which lasts as long as its content does.</param>
    public ReadOnlySpan<char> Prepare(ReadOnlySpan<char> text, bool isStart, TextAlignment? alignment, List<char> buffer)
    {
        if (AddPrefixSpace && text[0] != ' ')
        {
            text = string.Concat(" ", text);
            alignment?.Prepend(1);
        }

        return Metaspace is null ? text : Metaspace.Apply(text, isStart, alignment, buffer);
    }

    /// <summary>Fills <paramref name="pieces"/> with the pieces of a text that is not empty.</summary>
    public void Split(ReadOnlySpan<char> text, List<Piece> pieces)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            Apply(_splitters, text, pieces);
            return;
        }

        var shadow = _shadow ??= new BmpShadow();
        var (standIns, splitters) = _shadowed.Value;
        Apply(splitters, shadow.Of(text, standIns), pieces);
        for (var i = 0; i < pieces.Count; i++)
        {
            pieces[i] = shadow.ToOriginal(pieces[i]);
        }
    }

    /// <summary>Fills <paramref name="pieces"/> with the pieces of a piece in ByteLevel's alphabet.</summary>
    public void SplitSpelled(ReadOnlySpan<char> spelled, List<Piece> pieces) => Apply(SpelledSplitters, spelled, pieces);

    static void Apply(IReadOnlyList<ISplitter> splitters, ReadOnlySpan<char> text, List<Piece> pieces)
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
            {
                splitters[i].Split(text, piece, pieces);
            }
        }
    }
}
