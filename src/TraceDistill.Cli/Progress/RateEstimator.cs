namespace TraceDistill.Cli.Progress;

/// <summary>Works out how fast a job goes and how long it will still take, from what it did in the last half minute.</summary>
sealed class RateEstimator(TimeProvider timeProvider)
{
    static readonly TimeSpan Window = TimeSpan.FromSeconds(30);
    static readonly TimeSpan SampleSpacing = TimeSpan.FromSeconds(0.5);
    readonly Queue<(long Time, long Done)> _samples = new();
    (long Time, long Done) _newest;

    /// <summary>Units a second, or null while too little is known.</summary>
    public double? Rate { get; private set; }

    /// <summary>What an interrupted run had done before counts as done, but not as speed.</summary>
    public void Add(long done)
    {
        var now = timeProvider.GetTimestamp();
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
        var seconds = timeProvider.GetElapsedTime(oldest.Time, now).TotalSeconds;
        Rate = seconds >= SampleSpacing.TotalSeconds && done > oldest.Done ? (done - oldest.Done) / seconds : null;
    }

    /// <summary>Null where the rate or the total is unknown.</summary>
    public TimeSpan? TimeLeft(long done, long? total) =>
        Rate is { } rate && total > done ? TimeSpan.FromSeconds(Math.Min((total.Value - done) / rate, 1e9)) : null;
}
