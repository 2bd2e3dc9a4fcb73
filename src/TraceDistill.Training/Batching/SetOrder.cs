namespace TraceDistill.Training.Batching;

/// <summary>
/// Goes through one set, window after window, and says when its groups have to be read: those
/// of the next window little by little, while this one is gone through.
/// </summary>
sealed class SetOrder
{
    /// <summary>The part of a window after which the next one is there as a whole.</summary>
    const double ReadBy = 0.8;

    readonly SequenceSet _set;
    readonly int _index;
    readonly IEnumerator<ShuffleWindow> _windows;
    readonly DifficultyRanks? _ranks;
    ShuffleWindow _window,
        _next;
    int _position,
        _read;
    bool _hasBegun;

    /// <summary>Groups of the next window that this one has not.</summary>
    int[] _coming = [];

    /// <summary>Groups of this window that the next one has too.</summary>
    HashSet<int> _staying = [];

    /// <param name="set">The set.</param>
    /// <param name="index">Its number, for the steps.</param>
    /// <param name="seed">Equal seeds give equal orders.</param>
    /// <param name="windowBytes">See <see cref="ShuffleWindow.Series"/>.</param>
    /// <param name="isByDifficulty">True where <see cref="Seek"/> may be called.</param>
    public SetOrder(SequenceSet set, int index, string seed, long windowBytes, bool isByDifficulty = false)
    {
        (_set, _index) = (set, index);
        _ranks = isByDifficulty ? new DifficultyRanks(set, seed) : null;
        _windows = ShuffleWindow.Series(set.Groups, seed, windowBytes).GetEnumerator();
        (_window, _next) = (new ShuffleWindow([], []), Following());
        Advance();
    }

    public double Weight => _set.Weight;

    /// <summary>True where sequences are passed over by their difficulty.</summary>
    public bool IsByDifficulty => _ranks is not null;

    /// <summary>Tokens drawn so far.</summary>
    public long Drawn { get; private set; }

    /// <summary>Tokens of the sequence that comes next.</summary>
    public int NextLength => LengthOf(_window.Rows[_position]);

    /// <summary>Passes over sequences up to one of the easiest.</summary>
    /// <param name="share">How many of all these are, from 0 to 1.</param>
    /// <param name="steps">Gets what is to be done on the way.</param>
    public void Seek(double share, List<BatchStep> steps)
    {
        while (!_ranks!.IsAmong(_window.Rows[_position], share))
        {
            Pass(steps, isUsed: false);
        }
    }

    /// <summary>Draws a sequence.</summary>
    /// <param name="steps">Gets it, and what is to be done before and after it.</param>
    /// <returns>Its tokens.</returns>
    public int Draw(List<BatchStep> steps)
    {
        var length = NextLength;
        Pass(steps, isUsed: true);
        Drawn += length;
        return length;
    }

    void Pass(List<BatchStep> steps, bool isUsed)
    {
        if (!_hasBegun)
        {
            _hasBegun = true;
            steps.AddRange(_window.Groups.Select(group => new BatchStep(BatchStepKind.Load, _index, group)));
        }

        var row = _window.Rows[_position++];
        for (var due = Math.Min(1, _position / (ReadBy * _window.Rows.Length)) * _coming.Length; _read < due; _read++)
        {
            steps.Add(new BatchStep(BatchStepKind.Load, _index, _coming[_read]));
        }

        var isKept = _staying.Contains(row.Group);
        if (isUsed || !isKept)
        {
            var kind =
                isKept ? BatchStepKind.Use
                : isUsed ? BatchStepKind.Take
                : BatchStepKind.Skip;
            steps.Add(new BatchStep(kind, _index, row.Group, row.Row));
        }

        if (_position == _window.Rows.Length)
        {
            steps.AddRange(
                _window.Groups.Where(group => !_staying.Contains(group)).Select(group => new BatchStep(BatchStepKind.Unload, _index, group))
            );
            Advance();
        }
    }

    void Advance()
    {
        (_window, _next) = (_next, Following());
        (_position, _read) = (0, 0);
        _staying = [.. _window.Groups.Intersect(_next.Groups)];
        _coming = [.. _next.Groups.Except(_window.Groups)];
    }

    ShuffleWindow Following()
    {
        _windows.MoveNext();
        return _windows.Current;
    }

    int LengthOf((int Group, int Row) row) => _set.Groups[row.Group].Lengths[row.Row];
}
