namespace TraceDistill.Data.Contracts;

/// <summary>Says nothing.</summary>
public sealed class SilentObserver : IRunObserver
{
    public static SilentObserver Instance { get; } = new();

    public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

    public void Message(string text) { }
}
