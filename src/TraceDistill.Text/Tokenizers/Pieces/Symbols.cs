using System.Text;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>The tokens that merging begins with.</summary>
interface ISymbols
{
    /// <summary>Appends those of a piece.</summary>
    void Append(ReadOnlySpan<char> piece, List<PieceToken> symbols);

    /// <summary>Appends a piece as the vocabulary spells it.</summary>
    void Spell(ReadOnlySpan<char> piece, List<char> spelling);

    /// <summary>The bytes of UTF-8 that a piece stands for.</summary>
    int ByteCount(ReadOnlySpan<char> piece) => Encoding.UTF8.GetByteCount(piece);
}

/// <summary>Byte-level: every byte is a symbol. Bytes that the vocabulary lacks give nothing.</summary>
sealed class ByteSymbols : ISymbols
{
    readonly int[] _ids = new int[256];

    public ByteSymbols(IReadOnlyDictionary<string, int> vocabulary)
    {
        for (var value = 0; value < 256; value++)
        {
            _ids[value] = vocabulary.GetValueOrDefault($"{ByteLevelAlphabet.ToChar((byte)value)}", -1);
        }
    }

    public bool HasAll => !_ids.Contains(-1);

    public void Append(ReadOnlySpan<char> piece, List<PieceToken> symbols)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in piece.EnumerateRunes())
        {
            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                if (_ids[value] >= 0)
                {
                    symbols.Add(new PieceToken(_ids[value], 1));
                }
            }
        }
    }

    public void Spell(ReadOnlySpan<char> piece, List<char> spelling)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in piece.EnumerateRunes())
        {
            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                spelling.Add(ByteLevelAlphabet.ToChar(value));
            }
        }
    }
}

/// <summary>Byte-level, of pieces that are spelled in <see cref="ByteLevelAlphabet"/> already.</summary>
sealed class SpelledByteSymbols(IReadOnlyDictionary<string, int> vocabulary) : ISymbols
{
    readonly Dictionary<char, int> _ids = vocabulary
        .Where(token => token.Key.Length == 1)
        .ToDictionary(token => token.Key[0], token => token.Value);

    public void Append(ReadOnlySpan<char> piece, List<PieceToken> symbols)
    {
        foreach (var character in piece)
        {
            if (_ids.TryGetValue(character, out var id))
            {
                symbols.Add(new PieceToken(id, 1));
            }
        }
    }

    public void Spell(ReadOnlySpan<char> piece, List<char> spelling) => spelling.AddRange(piece);

    public int ByteCount(ReadOnlySpan<char> piece) => piece.Length;
}

/// <summary>
/// SentencePiece's way: every character is a symbol; one that the vocabulary lacks is spelled
/// by its bytes and, where it lacks those too, by the unknown token.
/// </summary>
sealed class CharacterSymbols : ISymbols
{
    readonly Dictionary<Rune, int> _ids = [];
    readonly int[] _bytes = new int[256];
    readonly int? _unknown;
    readonly bool _fusesUnknown;

    /// <param name="vocabulary">Spellings and ids.</param>
    /// <param name="unknown">The unknown token; null where there is none.</param>
    /// <param name="fusesUnknown">True where unknown characters side by side are one unknown token.</param>
    public CharacterSymbols(IReadOnlyDictionary<string, int> vocabulary, int? unknown, bool fusesUnknown)
    {
        (_unknown, _fusesUnknown) = (unknown, fusesUnknown);
        foreach (var (spelling, id) in vocabulary)
        {
            if (
                Rune.DecodeFromUtf16(spelling, out var rune, out var length) == System.Buffers.OperationStatus.Done
                && length == spelling.Length
            )
            {
                _ids[rune] = id;
            }
        }

        for (var value = 0; value < 256; value++)
        {
            _bytes[value] = vocabulary.GetValueOrDefault(TokenDecoder.SpellByte((byte)value), -1);
        }
    }

    /// <summary>True where every character gives something.</summary>
    public bool IsComplete => _unknown is not null || !_bytes.Contains(-1);

    public void Append(ReadOnlySpan<char> piece, List<PieceToken> symbols)
    {
        // As Hugging Face's tokenizers have it, an unknown token waits for the next character that is known: bytes overtake it.
        Span<byte> utf8 = stackalloc byte[4];
        var waits = default(PieceToken?);
        foreach (var rune in piece.EnumerateRunes())
        {
            if (_ids.TryGetValue(rune, out var id))
            {
                if (waits is { } waiting)
                {
                    symbols.Add(waiting);
                }
                symbols.Add(new PieceToken(id, rune.Utf8SequenceLength));
                waits = null;
                continue;
            }

            var bytes = utf8[..rune.EncodeToUtf8(utf8)];
            if (HasAll(bytes))
            {
                foreach (var value in bytes)
                {
                    symbols.Add(new PieceToken(_bytes[value], 1));
                }
            }
            else if (_unknown is { } unknown)
            {
                if (waits is { } waiting && !_fusesUnknown)
                {
                    symbols.Add(waiting);
                }
                waits = new PieceToken(unknown, bytes.Length + (_fusesUnknown ? waits.GetValueOrDefault().Length : 0));
            }
        }

        if (waits is { } last)
        {
            symbols.Add(last);
        }
    }

    public void Spell(ReadOnlySpan<char> piece, List<char> spelling) => spelling.AddRange(piece);

    bool HasAll(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            if (_bytes[value] < 0)
            {
                return false;
            }
        }

        return true;
    }
}
