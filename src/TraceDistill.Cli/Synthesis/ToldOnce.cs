using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Synthesis;

/// <summary>
/// Passes on all but what an earlier collection of the same teacher told as well before its first trace came: what a probe finds, mostly.
/// </summary>
/// <param name="inner">Takes the others.</param>
sealed class ToldOnce(IRunObserver inner) : IRunObserver
{
    readonly Lock _lock = new();
    readonly HashSet<string> _earlier = [];
    readonly List<string> _beginning = [];
    bool _hasBegun;

    /// <summary>Another collection begins.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _earlier.UnionWith(_beginning);
            _beginning.Clear();
            _hasBegun = false;
        }
    }

    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        lock (_lock)
        {
            _hasBegun = true;
        }

        inner.Progress(activity, done, total, unit, note);
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) => inner.Metrics(step, values);

    public void Message(string text)
    {
        lock (_lock)
        {
            if (!_hasBegun)
            {
                if (_earlier.Contains(text))
                {
                    return;
                }

                _beginning.Add(text);
            }
        }

        inner.Message(text);
    }
}
