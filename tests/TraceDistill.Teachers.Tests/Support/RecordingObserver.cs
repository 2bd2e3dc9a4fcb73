using System.Collections.Concurrent;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>Keeps what it is told.</summary>
sealed class RecordingObserver : IRunObserver
{
    public ConcurrentQueue<string> Messages { get; } = new();

    public ConcurrentQueue<(long Done, long? Total, string? Note)> Steps { get; } = new();

    public void Progress(string activity, long done, long? total, string unit, string? note = null) => Steps.Enqueue((done, total, note));

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

    public void Message(string text) => Messages.Enqueue(text);
}
