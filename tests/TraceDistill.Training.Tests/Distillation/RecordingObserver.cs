using TraceDistill.Data.Contracts;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Keeps what is said.</summary>
sealed class RecordingObserver : IRunObserver
{
    public List<string> Messages { get; } = [];

    public List<IReadOnlyDictionary<string, double>> Values { get; } = [];

    public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) => Values.Add(values);

    public void Message(string text) => Messages.Add(text);
}
