using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using TraceDistill.Inference;

namespace TraceDistill.Serving.Hosting;

/// <summary>Counts what the server does, and tells it in Prometheus' text format.</summary>
sealed class ServerMetrics
{
    readonly ConcurrentDictionary<(string Path, int Status), Series> _requests = new();

    /// <param name="path">The route, so that unknown paths make no series of their own.</param>
    public void Count(string path, int status, TimeSpan duration)
    {
        var series = _requests.GetOrAdd((path, status), _ => new Series());
        Interlocked.Increment(ref series.Count);
        Interlocked.Add(ref series.Ticks, duration.Ticks);
    }

    public string Write(EngineCounters engine)
    {
        var text = new StringBuilder();
        Header("tracedistill_requests_total", "counter", "Requests answered.");
        foreach (var ((path, status), series) in _requests.OrderBy(entry => entry.Key))
        {
            Line($"tracedistill_requests_total{{path=\"{path}\",status=\"{status}\"}} {Interlocked.Read(ref series.Count)}");
        }

        Header("tracedistill_request_seconds_total", "counter", "Time spent on requests, from the first byte in to the last byte out.");
        foreach (var ((path, status), series) in _requests.OrderBy(entry => entry.Key))
        {
            var seconds = TimeSpan.FromTicks(Interlocked.Read(ref series.Ticks)).TotalSeconds;
            Line($"tracedistill_request_seconds_total{{path=\"{path}\",status=\"{status}\"}} {seconds}");
        }

        One(
            "tracedistill_prompt_tokens_total",
            "counter",
            "Prompt tokens worked out; choices of one request share them.",
            engine.PromptTokens
        );
        One("tracedistill_generated_tokens_total", "counter", "Tokens generated.", engine.GeneratedTokens);
        One("tracedistill_sequences_running", "gauge", "Sequences being generated.", engine.Running);
        One("tracedistill_sequences_waiting", "gauge", "Sequences waiting for room.", engine.Waiting);
        return text.ToString();

        void One(string name, string type, string help, long value)
        {
            Header(name, type, help);
            Line($"{name} {value}");
        }

        void Header(string name, string type, string help) =>
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");

        void Line(FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }

    sealed class Series
    {
        public long Count;
        public long Ticks;
    }
}
