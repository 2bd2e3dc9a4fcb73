using TraceDistill.Text.Tokenizers.Pieces;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Finds where no merge can reach across, so that what lies on both sides can be encoded by itself:
/// SentencePiece's vocabularies take a whole text for one piece, but hardly have a token with a
/// space inside, and often none that joins digits. Short parts come again, and the cache knows them.
/// </summary>
/// <remarks>
/// Exact: two characters end up in one token only by a merge of a token that ends in the first and one that begins with the second.
/// Characters beyond ASCII, but for the mark, count as one kind; they are never parted from each other, nor is a character without
/// a token from another such one, since unknown characters side by side may fuse. Vocabularies in which a character can vanish, so
/// that those beside it meet, or in which tokens merge that are not their spelling (bytes, the unknown one) are left alone.
/// </remarks>
sealed class PieceDivider
{
    const int Mark = 128,
        Other = 129,
        Kinds = 130;
    const char MarkCharacter = '▁';

    readonly byte[] _kinds = new byte[128];
    readonly byte _markKind;
    readonly bool[] _joins = new bool[Kinds * Kinds];

    PieceDivider(TokenizerDefinition definition)
    {
        for (var character = (char)0; character < 128; character++)
        {
            _kinds[character] = (byte)(definition.Vocabulary.ContainsKey($"{character}") ? character : Other);
        }
        _markKind = definition.Vocabulary.ContainsKey($"{MarkCharacter}") ? (byte)Mark : (byte)Other;
        var spellings = new Dictionary<int, string>(definition.Vocabulary.Count);
        foreach (var (spelling, id) in definition.Vocabulary)
        {
            spellings[id] = spelling;
        }
        _joins[(Other * Kinds) + Other] = true;
        foreach (var (left, right, _) in definition.Merges)
        {
            _joins[(KindOf(spellings[left][^1]) * Kinds) + KindOf(spellings[right][0])] = true;
        }
    }

    /// <returns>The divider of a vocabulary, or null where its pieces are not to be divided.</returns>
    public static PieceDivider? For(TokenizerDefinition definition)
    {
        if (definition is not { Symbols: CharacterSymbols { IsComplete: true }, IgnoreMerges: false })
        {
            return null;
        }
        HashSet<int> odd =
        [
            .. definition.Vocabulary.Where(token => token.Key.Length == 0 || TokenDecoder.IsByte(token.Key)).Select(token => token.Value),
            definition.UnknownId ?? -1,
        ];
        return definition.Merges.Any(merge => odd.Contains(merge.Left) || odd.Contains(merge.Right) || odd.Contains(merge.Result))
            ? null
            : new PieceDivider(definition);
    }

    /// <summary>The length of the first part of a text that is not empty.</summary>
    public int LengthOfFirst(ReadOnlySpan<char> text)
    {
        var previous = KindOf(text[0]);
        for (var i = 1; i < text.Length; i++)
        {
            var current = KindOf(text[i]);
            if (!_joins[(previous * Kinds) + current])
            {
                return i;
            }
            previous = current;
        }

        return text.Length;
    }

    byte KindOf(char character) =>
        character < 128 ? _kinds[character]
        : character == MarkCharacter ? _markKind
        : (byte)Other;
}
