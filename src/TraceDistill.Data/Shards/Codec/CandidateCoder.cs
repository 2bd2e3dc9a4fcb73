namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// Ids of alternatives. A teacher that stands where it stood before mostly has the same alternatives in a similar order, so an id is first
/// looked for in the row of the last similar place, then among all ids seen so far, and only then spelled out.
/// </summary>
sealed class CandidateCoder<T>(int k, int firstModel)
    where T : struct, INibbleCoder
{
    /// <summary>Models that it uses, from its first one on.</summary>
    public const int Models = Contexts + 4;

    const int Contexts = 6; // three kinds of similar place, each for the best alternative and for the others
    const int Escape = 15;

    readonly int _known = firstModel + Contexts;
    readonly int _new = firstModel + Contexts + 2;
    readonly List<int[]> _rows = [];
    readonly Dictionary<long, int> _rowAfterPair = [];
    readonly Dictionary<int, int> _rowAfterToken = [];
    readonly List<int> _seen = [];
    readonly Dictionary<int, int> _places = [];
    readonly int[] _expected = new int[k];
    int _last = -1;
    int _beforeLast = -1;

    /// <summary>Encodes the ids of a row, or decodes into them.</summary>
    public void Code(ref T coder, AdaptiveNibbles models, Span<int> ids)
    {
        var (order, expected) = SimilarRow();
        expected.CopyTo(_expected, 0);
        var left = expected.Length;
        for (var i = 0; i < ids.Length; i++)
        {
            var model = firstModel + 2 * order + (i == 0 ? 0 : 1);
            var place = _expected.AsSpan(0, Math.Min(left, Escape)).IndexOf(ids[i]);
            var symbol = coder.Nibble(models, model, place < 0 ? Escape : place);
            if (symbol == Escape)
            {
                ids[i] = CodeKnownOrNew(ref coder, models, ids[i]);
                continue;
            }

            if (symbol >= left)
            {
                throw new InvalidDataException("the soft targets refer to an alternative that is not there");
            }

            ids[i] = _expected[symbol];
            left--;
            Array.Copy(_expected, symbol + 1, _expected, symbol, left - symbol);
        }
    }

    /// <summary>An id through the list of all ids seen so far (number of its place plus one), or 0 and the id itself.</summary>
    public int CodeKnownOrNew(ref T coder, AdaptiveNibbles models, int id)
    {
        var place = _places.GetValueOrDefault(id, -1);
        place = NumberCoding.Number(ref coder, models, _known, place + 1) - 1;
        if (place >= _seen.Count)
        {
            throw new InvalidDataException("the soft targets refer to an id that is not there");
        }

        if (place < 0)
        {
            id = NumberCoding.Number(ref coder, models, _new, id);
            if (!_places.TryAdd(id, _seen.Count))
            {
                throw new InvalidDataException("the soft targets introduce an id twice");
            }

            _seen.Add(id);
            return id;
        }

        // What is used moves half-way to the front, where numbers are short.
        id = _seen[place];
        var other = _seen[place / 2];
        (_seen[place], _seen[place / 2]) = (other, id);
        (_places[other], _places[id]) = (place, place / 2);
        return id;
    }

    /// <summary>Remembers a finished row and the token that was drawn from it.</summary>
    public void Append(ReadOnlySpan<int> ids, int sampled)
    {
        _rowAfterPair[Pair] = _rows.Count;
        _rowAfterToken[_last] = _rows.Count;
        _rows.Add(ids.ToArray());
        (_beforeLast, _last) = (_last, sampled);
    }

    long Pair => (long)_beforeLast << 32 | (uint)_last;

    // The last row after the same two tokens, else after the same token, else the row before.
    (int Order, int[] Ids) SimilarRow() =>
        _rowAfterPair.TryGetValue(Pair, out var row) ? (2, _rows[row])
        : _rowAfterToken.TryGetValue(_last, out row) ? (1, _rows[row])
        : (0, _rows.Count > 0 ? _rows[^1] : []);
}
