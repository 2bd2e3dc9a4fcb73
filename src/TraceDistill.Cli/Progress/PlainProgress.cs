using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Progress;

/// <summary>
/// Progress as plain lines, for output that goes to a file or a log: a line when an activity
/// ends, and on the way one at most every five seconds and at least every thirty.
/// </summary>
sealed class PlainProgress(TextWriter output, TimeProvider timeProvider) : IRunObserver
{
    static readonly TimeSpan Least = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Most = TimeSpan.FromSeconds(30);
    readonly Lock _lock = new();
    readonly Dictionary<string, Line> _lines = [];

    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        lock (_lock)
        {
            var stage = StageObserver.StageOf(activity);
            if (!_lines.TryGetValue(stage, out var line) || line.Activity != activity)
            {
                _lines[stage] = line = new Line(activity, new RateEstimator(timeProvider), timeProvider.GetTimestamp(), done);
            }

            line.Rate.Add(done);
            if (IsDue(line, done, total))
            {
                _lines[stage] = line with { Time = timeProvider.GetTimestamp(), Done = done };
                output.WriteLine($"{activity}: {ProgressText.Of(done, total, unit, line.Rate, note)}");
            }
        }
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

    public void Message(string text)
    {
        lock (_lock)
        {
            output.WriteLine(VisibleText.Of(text));
        }
    }

    /// <summary>Activity of a stage, and when it was last told.</summary>
    sealed record Line(string Activity, RateEstimator Rate, long Time, long Done);

    bool IsDue(Line last, long done, long? total)
    {
        var since = timeProvider.GetElapsedTime(last.Time);
        var isNoticeable = total is null || done - last.Done >= total / 10;
        return (done == total && done != last.Done) || since >= Most || (since >= Least && isNoticeable);
    }
}
