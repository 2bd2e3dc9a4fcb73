using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Synthesis;

/// <summary>Passes on all but messages that came before: what a probe finds is the same for every collection of a teacher.</summary>
/// <param name="inner">Takes the others.</param>
sealed class ToldOnce(IRunObserver inner) : IRunObserver
{
    readonly Lock _lock = new();
    readonly HashSet<string> _told = [];

    public void Progress(string activity, long done, long? total, string unit, string? note = null) =>
        inner.Progress(activity, done, total, unit, note);

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) => inner.Metrics(step, values);

    public void Message(string text)
    {
        lock (_lock)
        {
            if (!_told.Add(text))
            {
                return;
            }
        }

        inner.Message(text);
    }
}
