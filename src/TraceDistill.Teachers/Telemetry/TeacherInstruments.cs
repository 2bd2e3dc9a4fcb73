using System.Diagnostics;
using System.Diagnostics.Metrics;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Telemetry;

/// <summary>
/// Spans and metrics of requests to teachers, named as OpenTelemetry's semantic conventions for generative AI have it
/// (gen_ai.*, version 1.37). They cost next to nothing while nobody listens. Prompts and answers are in none of them.
/// </summary>
public sealed class TeacherInstruments : IDisposable
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Name = "TraceDistill.Teachers";

    static readonly ActivitySource Source = new(Name);

    // The conventions' own boundaries.
    static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    };

    static readonly InstrumentAdvice<int> Tokens = new()
    {
        HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864],
    };

    readonly Meter _meter = new(Name);
    readonly Histogram<double> _duration;
    readonly Histogram<int> _usage;

    internal TeacherInstruments()
    {
        _duration = _meter.CreateHistogram("gen_ai.client.operation.duration", "s", "GenAI operation duration.", tags: null, Seconds);
        _usage = _meter.CreateHistogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            tags: null,
            Tokens
        );
    }

    /// <summary>Shows how much every teacher has to do.</summary>
    /// <param name="load">Of each: what is in flight, and the limit found so far.</param>
    internal void Observe(Func<IEnumerable<(MeasuredTeacher Teacher, int InFlight, int Limit)>> load)
    {
        _meter.CreateObservableUpDownCounter(
            "tracedistill.teacher.in_flight",
            () => load().Select(one => new Measurement<int>(one.InFlight, one.Teacher.Load)),
            "{request}",
            "Requests in flight."
        );
        _meter.CreateObservableUpDownCounter(
            "tracedistill.teacher.limit",
            () => load().Select(one => new Measurement<int>(one.Limit, one.Teacher.Load)),
            "{request}",
            "Requests that may be in flight."
        );
    }

    /// <summary>A request goes out. What is returned is to be disposed when it is over; null where nobody listens.</summary>
    /// <param name="teacher">Whom it goes to.</param>
    /// <param name="sampling">Of what is generated; null where nothing is.</param>
    /// <param name="isScoring">True where a text that exists is scored, which goes to the completions of text.</param>
    internal static Activity? Start(MeasuredTeacher teacher, SamplingSettings? sampling, bool isScoring)
    {
        var activity = Source.StartActivity($"{OperationOf(isScoring)} {teacher.Model}", teacher.Kind);
        if (activity is { IsAllDataRequested: true })
        {
            foreach (var (key, value) in Common(teacher, isScoring))
            {
                activity.SetTag(key, value);
            }

            activity.SetTag("gen_ai.request.temperature", sampling?.Temperature);
            activity.SetTag("gen_ai.request.top_p", sampling?.TopP);
            activity.SetTag("gen_ai.request.max_tokens", sampling?.MaxTokens);
            activity.SetTag("gen_ai.request.seed", sampling?.Seed);
        }

        return activity;
    }

    internal void Answered(
        Activity? activity,
        MeasuredTeacher teacher,
        bool isScoring,
        string finishReason,
        int promptTokens,
        int completionTokens,
        TimeSpan latency
    )
    {
        activity?.SetTag("gen_ai.response.finish_reasons", new[] { finishReason });
        activity?.SetTag("gen_ai.usage.input_tokens", promptTokens);
        activity?.SetTag("gen_ai.usage.output_tokens", completionTokens);
        if (_duration.Enabled)
        {
            _duration.Record(latency.TotalSeconds, Common(teacher, isScoring));
        }

        if (_usage.Enabled)
        {
            _usage.Record(
                promptTokens,
                [.. Common(teacher, isScoring), KeyValuePair.Create<string, object?>("gen_ai.token.type", "input")]
            );
            _usage.Record(
                completionTokens,
                [.. Common(teacher, isScoring), KeyValuePair.Create<string, object?>("gen_ai.token.type", "output")]
            );
        }
    }

    internal void Failed(Activity? activity, MeasuredTeacher teacher, bool isScoring, Exception failure, TimeSpan latency)
    {
        var kind = EndpointMeter.KindOf(failure);
        activity?.SetTag("error.type", kind);
        activity?.SetStatus(ActivityStatusCode.Error, failure.Message);
        if (_duration.Enabled)
        {
            _duration.Record(
                latency.TotalSeconds,
                [.. Common(teacher, isScoring), KeyValuePair.Create<string, object?>("error.type", kind)]
            );
        }
    }

    public void Dispose() => _meter.Dispose();

    static string OperationOf(bool isScoring) => isScoring ? "text_completion" : "chat";

    static KeyValuePair<string, object?>[] Common(MeasuredTeacher teacher, bool isScoring) =>
        [KeyValuePair.Create<string, object?>("gen_ai.operation.name", OperationOf(isScoring)), .. teacher.Tags];
}
