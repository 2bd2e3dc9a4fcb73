namespace TraceDistill.Cli.Progress;

/// <summary>Estimates a job's speed and remaining time from its progress in the last 30 seconds.</summary>
/// <remarks>
/// The time before the first unit (loading, the wait for the first of many concurrent answers) does not count, since it would make the
/// speed too low at first. A speed is reported only after as much time has passed since the first unit as the wait for it took: before
/// that, it may have been a single burst.
/// </remarks>
sealed class RateEstimator(TimeProvider timeProvider)
{
    static readonly TimeSpan Window = TimeSpan.FromSeconds(30);
    static readonly TimeSpan SampleSpacing = TimeSpan.FromSeconds(0.5);
    readonly Queue<(long Time, long Done)> _samples = new();
    (long Time, long Done)? _start;
    (long Time, long Done) _newest;
    TimeSpan _patience;

    /// <summary>Units per second; null until there are enough samples.</summary>
    public double? Rate { get; private set; }

    /// <summary>Adds a progress report. Units done by an earlier, interrupted run count as done, but not for the speed.</summary>
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
