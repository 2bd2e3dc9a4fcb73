using System.Diagnostics;

namespace TraceDistill.Training.Batching;

/// <summary>Measures how much of its time a training waits for its batches.</summary>
sealed class DataWait
{
    long _start,
        _last,
        _waited,
        _waitedBefore;

    /// <summary>The share of the time since the beginning, 0 to 1.</summary>
    public double Share => _start == 0 ? 0 : Of(_waited, _start);

    /// <summary>Passes items on; the time until each is there was waited for.</summary>
    public IEnumerable<T> Watch<T>(IEnumerable<T> items)
    {
        _start = _last = Stopwatch.GetTimestamp();
        using var enumerator = items.GetEnumerator();
        while (true)
        {
            var before = Stopwatch.GetTimestamp();
            var isThere = enumerator.MoveNext();
            _waited += Stopwatch.GetTimestamp() - before;
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
        (_last, _waitedBefore) = (Stopwatch.GetTimestamp(), _waited);
        return share;
    }

    static double Of(long waited, long start) => waited / (double)Math.Max(1, Stopwatch.GetTimestamp() - start);
}
