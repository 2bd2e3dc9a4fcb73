using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using TraceDistill.Data.Files;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// A report of a stage's process to the run that started it: one JSON object a line on standard output, its kind in <c>event</c>.
/// The last line is a <c>result</c> or a <c>failure</c>.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "event")]
[JsonDerivedType(typeof(StageProgress), "progress")]
[JsonDerivedType(typeof(StageMetrics), "metrics")]
[JsonDerivedType(typeof(StageMessage), "message")]
[JsonDerivedType(typeof(StageDone), "result")]
[JsonDerivedType(typeof(StageFailed), "failure")]
abstract record StageEvent
{
    /// <summary>Without the end of the line.</summary>
    public string ToLine() => JsonSerializer.Serialize(this, JsonFile.Line);

    /// <returns>Null for a line that is no event, such as one that a native library printed.</returns>
    public static StageEvent? Parse(string line)
    {
        try
        {
            return line.StartsWith('{') ? JsonSerializer.Deserialize<StageEvent>(line, JsonFile.Line) : null;
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException)
        {
            return null;
        }
    }
}

/// <inheritdoc cref="Data.Contracts.IRunObserver.Progress"/>
sealed record StageProgress(string Activity, long Done, long? Total, string Unit, string? Note) : StageEvent;

/// <inheritdoc cref="Data.Contracts.IRunObserver.Metrics"/>
sealed record StageMetrics(long Step, IReadOnlyDictionary<string, double> Values) : StageEvent;

/// <inheritdoc cref="Data.Contracts.IRunObserver.Message(string)"/>
sealed record StageMessage(string Text) : StageEvent;

/// <summary>The stage is done, and all its files are written.</summary>
/// <param name="Summary">The verb's summary of its result.</param>
/// <param name="PeakMemoryBytes">The most memory the process held at once.</param>
sealed record StageDone(JsonNode? Summary, long PeakMemoryBytes) : StageEvent;

/// <summary>The stage ended before it was done.</summary>
/// <param name="ExitCode">A <see cref="ExitCode"/>.</param>
/// <param name="Message">The error's message.</param>
sealed record StageFailed(int ExitCode, string Message) : StageEvent;
