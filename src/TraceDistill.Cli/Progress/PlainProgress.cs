using TraceDistill.Core.Observation;

namespace TraceDistill.Cli.Progress;

/// <summary>
/// Progress as plain lines, for output that goes to a file or a log: a line when an activity ends, and on the way one at most every five seconds
/// and at least every thirty.
/// </summary>
sealed class PlainProgress(TextWriter output, TimeProvider timeProvider) : IRunObserver
{
    static readonly TimeSpan Least = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Most = TimeSpan.FromSeconds(30);
    readonly Lock _lock = new();
    string? _activity;
    RateEstimator _rate = new(timeProvider);
    long _lastTime;
    long _lastDone;

    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        lock (_lock)
        {
            if (activity != _activity)
            {
                (_activity, _rate, _lastTime, _lastDone) = (activity, new RateEstimator(timeProvider), timeProvider.GetTimestamp(), done);
            }

            _rate.Add(done);
            if (IsDue(done, total))
            {
                (_lastTime, _lastDone) = (timeProvider.GetTimestamp(), done);
                output.WriteLine($"{activity}: {ProgressText.Of(done, total, unit, _rate, note)}");
            }
        }
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values)
    {
    }

    public void Message(string text)
    {
        lock (_lock)
        {
            output.WriteLine(text);
        }
    }

    bool IsDue(long done, long? total)
    {
        var since = timeProvider.GetElapsedTime(_lastTime);
        var isNoticeable = total is null || done - _lastDone >= total / 10;
        return (done == total && done != _lastDone) || since >= Most || (since >= Least && isNoticeable);
    }
}
