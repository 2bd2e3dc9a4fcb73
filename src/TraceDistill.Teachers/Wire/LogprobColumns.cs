using System.Runtime.InteropServices;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// Gathers one generation's tokens into columns. Alternatives come in any order, repeated, too many or too few; rows leave sorted by
/// descending logprob (then by id), with distinct ids, k entries long.
/// </summary>
/// <param name="k">Alternatives kept for each token.</param>
sealed class LogprobColumns(int k)
{
    /// <summary>The number that vLLM writes for −∞, which JSON cannot hold.</summary>
    public const float Floor = -9999f;

    const int MostExpected = 1 << 20;

    readonly List<int> _ids = [];
    readonly List<float> _logprobs = [];
    readonly List<int> _topIds = [];
    readonly List<float> _topLogprobs = [];

    // The current row, sorted; one slot more than k so that an insertion never needs a special case at the end.
    readonly int[] _rowIds = new int[k + 1];
    readonly float[] _rowLogprobs = new float[k + 1];
    int _rowCount;

    public int Count => _ids.Count;

    public IReadOnlyList<int> TokenIds => _ids;

    /// <summary>True where the current row has an alternative.</summary>
    public bool HasAlternatives => _rowCount > 0;

    /// <summary>Adds an alternative to the current row. One at the floor has no probability and is left out.</summary>
    public void AddAlternative(int id, float logprob)
    {
        if (logprob <= Floor)
        {
            return;
        }

        var same = Array.IndexOf(_rowIds, id, 0, _rowCount);
        if (same >= 0)
        {
            if (_rowLogprobs[same] >= logprob)
            {
                return;
            }

            RemoveAt(same);
        }

        var at = _rowCount;
        while (at > 0 && (_rowLogprobs[at - 1] < logprob || (_rowLogprobs[at - 1] == logprob && _rowIds[at - 1] > id)))
        {
            _rowIds[at] = _rowIds[at - 1];
            _rowLogprobs[at] = _rowLogprobs[at - 1];
            at--;
        }

        _rowIds[at] = id;
        _rowLogprobs[at] = logprob;
        _rowCount = Math.Min(_rowCount + 1, k);
    }

    /// <summary>Ends the current row with the token that was drawn.</summary>
    public void EndRow(int id, float logprob)
    {
        _ids.Add(id);
        _logprobs.Add(logprob);
        _rowIds.AsSpan(_rowCount).Fill(-1);
        _rowLogprobs.AsSpan(_rowCount).Fill(float.NegativeInfinity);
        _topIds.AddRange(_rowIds.AsSpan(0, k));
        _topLogprobs.AddRange(_rowLogprobs.AsSpan(0, k));
        _rowCount = 0;
    }

    /// <summary>Says that another token was drawn in a row that has ended.</summary>
    public void Rename(int row, int id, float logprob) => (_ids[row], _logprobs[row]) = (id, logprob);

    /// <summary>Moves <paramref name="rows"/> rows from <paramref name="start"/> on behind all others.</summary>
    public void MoveToEnd(int start, int rows)
    {
        Rotate(_ids, start, rows);
        Rotate(_logprobs, start, rows);
        Rotate(_topIds, start * k, rows * k);
        Rotate(_topLogprobs, start * k, rows * k);

        static void Rotate<T>(List<T> list, int start, int count)
        {
            list.AddRange(list[start..(start + count)]);
            list.RemoveRange(start, count);
        }
    }

    /// <summary>
    /// Makes room for about so many tokens, so that the columns of a long generation are not
    /// copied as they grow. A guess gets a few megabytes and no more.
    /// </summary>
    public void Expect(int tokens)
    {
        tokens = Math.Min(tokens, MostExpected / k);
        _ids.EnsureCapacity(tokens);
        _logprobs.EnsureCapacity(tokens);
        _topIds.EnsureCapacity(tokens * k);
        _topLogprobs.EnsureCapacity(tokens * k);
    }

    /// <summary>Forgets the tokens from here on, and the current row.</summary>
    public void Truncate(int tokens)
    {
        _rowCount = 0;
        CollectionsMarshal.SetCount(_ids, tokens);
        CollectionsMarshal.SetCount(_logprobs, tokens);
        CollectionsMarshal.SetCount(_topIds, tokens * k);
        CollectionsMarshal.SetCount(_topLogprobs, tokens * k);
    }

    public TokenLogprobs ToTokenLogprobs(byte[][]? tokenBytes) => ToTokenLogprobs(tokenBytes, 0, Count);

    /// <param name="first">The first token.</param>
    /// <param name="count">Number of tokens.</param>
    public TokenLogprobs ToTokenLogprobs(byte[][]? tokenBytes, int first, int count) =>
        new()
        {
            K = k,
            TokenIds = [.. _ids[first..(first + count)]],
            Logprobs = [.. _logprobs[first..(first + count)]],
            TopIds = [.. _topIds[(first * k)..((first + count) * k)]],
            TopLogprobs = [.. _topLogprobs[(first * k)..((first + count) * k)]],
            TokenBytes = tokenBytes,
        };

    void RemoveAt(int index)
    {
        _rowCount--;
        Array.Copy(_rowIds, index + 1, _rowIds, index, _rowCount - index);
        Array.Copy(_rowLogprobs, index + 1, _rowLogprobs, index, _rowCount - index);
    }
}
