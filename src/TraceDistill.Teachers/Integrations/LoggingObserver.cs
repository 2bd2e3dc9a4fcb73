using Microsoft.Extensions.Logging;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Teachers.Integrations;

/// <summary>Writes what a teacher's user is told (pauses, endpoints left out, fields that a server refuses) to a program's log.</summary>
sealed partial class LoggingObserver(ILogger logger) : IRunObserver
{
    public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

    public void Message(string text) => Log(text);

    [LoggerMessage(LogLevel.Information, "{Message}")]
    partial void Log(string message);
}
