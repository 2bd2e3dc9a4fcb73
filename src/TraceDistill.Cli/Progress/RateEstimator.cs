namespace TraceDistill.Cli.Progress;

/// <summary>Works out how fast a job goes and how long it will still take, from what it did in the last half minute.</summary>
/// <remarks>
/// What comes before the first unit (loading, the wait for the first of many answers that come at once) is no part of the speed, which would be too low at
/// first. A speed is told once as much time has passed since the first unit as it took to come: until then a burst may be all there is.
/// </remarks>
sealed class RateEstimator(TimeProvider timeProvider)
{
    static readonly TimeSpan Window = TimeSpan.FromSeconds(30);
    static readonly TimeSpan SampleSpacing = TimeSpan.FromSeconds(0.5);
    readonly Queue<(long Time, long Done)> _samples = new();
    (long Time, long Done)? _start;
    (long Time, long Done) _newest;
    TimeSpan _patience;

    /// <summary>Units a second, or null while too little is known.</summary>
    public double? Rate { get; private set; }

    /// <summary>Adds a report of progress. What an interrupted run had done before counts as done, but not as speed.</summary>
    public void Add(long done)
    {
        var now = timeProvider.GetTimestamp();
        _start ??= (now, done);
        if (_samples.Count == 0 && done <= _start.Value.Done)
        {
            return;
        }

        if (_samples.Count == 0)
        {
            var wait = timeProvider.GetElapsedTime(_start.Value.Time, now);
            _patience = wait < Window ? wait : Window;
        }

        if (_samples.Count == 0 || timeProvider.GetElapsedTime(_newest.Time, now) >= SampleSpacing)
        {
            _newest = (now, done);
            _samples.Enqueue(_newest);
        }

        while (_samples.Count > 2 && timeProvider.GetElapsedTime(_samples.Peek().Time, now) > Window)
        {
            _samples.Dequeue();
        }

        var oldest = _samples.Peek();
        var passed = timeProvider.GetElapsedTime(oldest.Time, now);
        Rate = passed >= SampleSpacing && passed >= _patience && done > oldest.Done ? (done - oldest.Done) / passed.TotalSeconds : null;
        _patience = Rate is null ? _patience : TimeSpan.Zero;
    }

    /// <summary>Null where the rate or the total is unknown.</summary>
    public TimeSpan? TimeLeft(long done, long? total) =>
        Rate is { } rate && total > done ? TimeSpan.FromSeconds(Math.Min((total.Value - done) / rate, 1e9)) : null;
}
