using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Progress;

/// <summary>One line of <c>metrics.jsonl</c>.</summary>
sealed record MetricsLine(DateTimeOffset Time, string Stage, long Step, IReadOnlyDictionary<string, double> Values);

/// <summary>
/// <c>metrics.jsonl</c>: one JSON object a line (<c>time</c>, <c>stage</c>, <c>step</c>, <c>values</c>), appended while stages run. A stage
/// that starts afresh, or goes on from an earlier step, takes the place of its own lines from there on, so that no step stands twice.
/// </summary>
sealed class MetricsLog(string path, TimeProvider timeProvider) : IDisposable
{
    public const string FileName = "metrics.jsonl";

    readonly Lock _lock = new();
    FileStream? _stream;

    /// <summary>Reads all whole lines; a last line that a killed process left unfinished is passed over.</summary>
    public static IEnumerable<MetricsLine> Read(string path) =>
        !File.Exists(path) ? [] : WholeLines(File.ReadAllText(path)).Select((line, index) => Parse(path, index, line));

    /// <exception cref="InvalidInputException">The line is none of this log.</exception>
    static MetricsLine Parse(string path, int index, string line)
    {
        try
        {
            return JsonFile.Parse<MetricsLine>(Encoding.UTF8.GetBytes(line));
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{path}:{index + 1}: not a line of metrics; delete the line, or the file", error);
        }
    }

    /// <summary>
    /// Removes what <paramref name="stage"/> wrote after a step, and what it wrote at that step of values that it writes again: a
    /// step and its evaluation have a line each.
    /// </summary>
    public void Rewind(string stage, long step, IEnumerable<string> values)
    {
        lock (_lock)
        {
            if (!File.Exists(path))
            {
                return;
            }

            var text = File.ReadAllText(path);
            var kept = string.Concat(
                WholeLines(text)
                    .Where(
                        (line, index) =>
                            Parse(path, index, line) is var metrics
                            && (
                                metrics.Stage != stage
                                || metrics.Step < step
                                || (metrics.Step == step && !values.Any(metrics.Values.ContainsKey))
                            )
                    )
                    .Select(line => line + "\n")
            );
            if (kept.Length < text.Length)
            {
                Close();
                AtomicFile.WriteAllText(path, kept);
            }
        }
    }

    public void Append(string stage, long step, IReadOnlyDictionary<string, double> values)
    {
        var line = JsonSerializer.Serialize(new MetricsLine(timeProvider.GetUtcNow(), stage, step, values), JsonFile.Line);
        lock (_lock)
        {
            _stream ??= Open();
            _stream.Write(Encoding.UTF8.GetBytes(line + "\n"));
            _stream.Flush();
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            Close();
        }
    }

    FileStream Open()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
    }

    void Close()
    {
        _stream?.Dispose();
        _stream = null;
    }

    static string[] WholeLines(string text) => text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
