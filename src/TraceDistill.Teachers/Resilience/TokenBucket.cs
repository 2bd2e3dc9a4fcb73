namespace TraceDistill.Teachers.Resilience;

/// <summary>Spends so much a minute, evenly: a bucket that is filled at that rate and holds what a second brings.</summary>
/// <remarks>
/// The limiters of System.Threading.RateLimiting read the machine's clock and know a cost only before the
/// work; here the clock is the caller's and what an answer took is settled afterwards. Not thread-safe.
/// </remarks>
sealed class TokenBucket
{
    readonly double _perSecond;
    readonly double _capacity;
    double _level;
    TimeSpan _filled;

    /// <param name="perMinute">
    /// Amount that may be spent in a minute; in any minute at most a second's worth (one, if that is less) more than this.
    /// </param>
    public TokenBucket(double perMinute)
    {
        _perSecond = perMinute / 60;
        _capacity = _level = Math.Max(1, _perSecond);
    }

    /// <summary>Time for which nothing may be spent; an amount that is more than the bucket holds needs a full one.</summary>
    public TimeSpan WaitFor(double amount, TimeSpan now)
    {
        Fill(now);
        var missing = Math.Min(amount, _capacity) - _level;
        return missing <= 1e-9 ? TimeSpan.Zero : TimeSpan.FromSeconds(missing / _perSecond);
    }

    /// <summary>
    /// Takes an amount, or with a negative one gives it back; beyond what there is, it is owed and the next wait is longer.
    /// </summary>
    public void Take(double amount, TimeSpan now)
    {
        Fill(now);
        _level = Math.Min(_capacity, _level - amount);
    }

    void Fill(TimeSpan now)
    {
        _level = Math.Min(_capacity, _level + ((now - _filled).TotalSeconds * _perSecond));
        _filled = now;
    }
}
