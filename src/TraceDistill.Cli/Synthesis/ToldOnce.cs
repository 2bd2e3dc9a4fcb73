using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Synthesis;

/// <summary>
/// Passes on all but what an earlier collection of the same teacher told as well before it asked for anything: what a probe finds, mostly.
/// </summary>
/// <param name="inner">Takes the others.</param>
sealed class ToldOnce(IRunObserver inner) : IRunObserver
{
    readonly Lock _lock = new();
    readonly HashSet<string> _told = [];
    bool _isAsking;

    /// <summary>A collection begins.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _isAsking = false;
        }
    }

    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        lock (_lock)
        {
            _isAsking = true;
        }

        inner.Progress(activity, done, total, unit, note);
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) => inner.Metrics(step, values);

    public void Message(string text)
    {
        lock (_lock)
        {
            if (!_isAsking && !_told.Add(text))
            {
                return;
            }
        }

        inner.Message(text);
    }
}
