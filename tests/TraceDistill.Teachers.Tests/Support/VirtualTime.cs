namespace TraceDistill.Teachers.Tests.Support;

/// <summary>
/// A clock that starts with the year 2020 and moves by itself: a delay of up to <paramref name="skipUpTo"/> is over at
/// once and the clock has moved on by it; longer timers wait for <see cref="Advance"/>. What was waited for is kept.
/// </summary>
/// <param name="skipUpTo">Longest delay to skip; retry delays are to be skipped, timeouts of attempts are not.</param>
sealed class VirtualTime(TimeSpan skipUpTo = default) : TimeProvider
{
    readonly Lock _lock = new();
    readonly List<VirtualTimer> _pending = [];
    readonly List<TimeSpan> _delays = [];
    DateTimeOffset _now = new(2020, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The delays that were skipped, in order.</summary>
    public IReadOnlyList<TimeSpan> Delays
    {
        get
        {
            lock (_lock)
            {
                return [.. _delays];
            }
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new VirtualTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clock and fires what is due.</summary>
    public void Advance(TimeSpan by)
    {
        VirtualTimer[] due;
        lock (_lock)
        {
            _now += by;
            due = [.. _pending.Where(timer => timer.Due <= _now)];
            _pending.RemoveAll(due.Contains);
        }

        foreach (var timer in due)
        {
            timer.Fire();
        }
    }

    void Start(VirtualTimer timer, TimeSpan dueTime)
    {
        lock (_lock)
        {
            _pending.Remove(timer);
            if (dueTime == Timeout.InfiniteTimeSpan)
            {
                return;
            }

            if (dueTime > skipUpTo)
            {
                timer.Due = _now + dueTime;
                _pending.Add(timer);
                return;
            }

            _now += dueTime;
            _delays.Add(dueTime);
        }

        // Never on the caller's stack: it may not have stored the timer yet.
        ThreadPool.QueueUserWorkItem(_ => timer.Fire());
    }

    void Remove(VirtualTimer timer)
    {
        lock (_lock)
        {
            _pending.Remove(timer);
        }
    }

    sealed class VirtualTimer(VirtualTime time, Action fire) : ITimer
    {
        readonly Lock _firing = new();
        volatile bool _disposed;

        public DateTimeOffset Due { get; set; }

        public void Fire()
        {
            lock (_firing)
            {
                if (!_disposed)
                {
                    fire();
                }
            }
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            time.Start(this, dueTime);
            return true;
        }

        public void Dispose()
        {
            _disposed = true;
            time.Remove(this);
        }

        /// <summary>As the system's timers: done when no callback runs any more.</summary>
        public ValueTask DisposeAsync()
        {
            lock (_firing)
            {
                Dispose();
            }

            return ValueTask.CompletedTask;
        }
    }
}
