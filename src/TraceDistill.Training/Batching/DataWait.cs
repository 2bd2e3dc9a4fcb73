namespace TraceDistill.Training.Batching;

/// <summary>Measures how much of its time a training waits for its batches.</summary>
/// <param name="time">The clock.</param>
sealed class DataWait(TimeProvider time)
{
    long _start,
        _last;
    TimeSpan _waited,
        _waitedBefore;

    /// <summary>The share of the time since the first item was asked for, 0 to 1.</summary>
    public double Share => Of(_waited, _start);

    /// <summary>Passes items on; the time until each is there was waited for.</summary>
    public IEnumerable<T> Watch<T>(IEnumerable<T> items)
    {
        _start = _last = time.GetTimestamp();
        using var enumerator = items.GetEnumerator();
        while (true)
        {
            var before = time.GetTimestamp();
            var isThere = enumerator.MoveNext();
            _waited += time.GetElapsedTime(before);
            if (!isThere)
            {
                yield break;
            }

            yield return enumerator.Current;
        }
    }

    /// <summary>The share of the time since this was asked last, 0 to 1.</summary>
    public double TakeShare()
    {
        var share = Of(_waited - _waitedBefore, _last);
        (_last, _waitedBefore) = (time.GetTimestamp(), _waited);
        return share;
    }

    double Of(TimeSpan waited, long start) => waited / TimeSpan.FromTicks(Math.Max(1, time.GetElapsedTime(start).Ticks));
}
