using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Telemetry;

public sealed class TeacherInstrumentsTests
{
    [Fact]
    public async Task GenerateAsync_Listened_TellsSpanAndMetricsOfTheConventions()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Status(500), Replies.Completion("12"));
        var port = new Uri(server.Url).Port;
        var (spans, measurements) = (new ConcurrentQueue<Activity>(), new ConcurrentQueue<(string Name, double Value, string Tags)>());
        using var tracing = new ActivityListener
        {
            ShouldListenTo = source => source.Name == TeacherInstruments.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(tracing);
        using var metering = Listen(measurements);
        using var teacher = TestTeacher.Over(server, TestTeacher.Time());

        await teacher.GenerateAsync(
            TestTeacher.Request with
            {
                Sampling = TestTeacher.Sampling with { Seed = 9, Temperature = 0.5 },
            },
            TestTeacher.Token
        );

        // Other tests run at the same time.
        var own = spans.Where(span => Equals(span.GetTagItem("server.port"), port)).ToList();
        Assert.Equal(["chat teacher", "chat teacher"], own.Select(span => span.DisplayName));
        Assert.All(own, span => Assert.Equal(ActivityKind.Client, span.Kind));
        Assert.Equal(("http_500", ActivityStatusCode.Error), (own[0].GetTagItem("error.type"), own[0].Status));
        var tags = own[1].TagObjects.ToDictionary();
        Assert.Equal(
            ("chat", "openai", "teacher", "127.0.0.1", 0.5, 1.0, 100, 9L),
            (
                tags["gen_ai.operation.name"],
                tags["gen_ai.provider.name"],
                tags["gen_ai.request.model"],
                tags["server.address"],
                tags["gen_ai.request.temperature"],
                tags["gen_ai.request.top_p"],
                tags["gen_ai.request.max_tokens"],
                tags["gen_ai.request.seed"]
            )
        );
        Assert.Equal((2, 3), (tags["gen_ai.usage.input_tokens"], tags["gen_ai.usage.output_tokens"]));
        Assert.Equal(["stop"], (string[])tags["gen_ai.response.finish_reasons"]!);

        var mine = measurements.Where(measurement => measurement.Tags.Contains($"server.port={port}", StringComparison.Ordinal)).ToList();
        Assert.Equal(
            [("gen_ai.client.operation.duration", true), ("gen_ai.client.operation.duration", false)],
            mine.Take(2)
                .Select(measurement => (measurement.Name, measurement.Tags.Contains("error.type=http_500", StringComparison.Ordinal)))
        );
        Assert.Equal(
            [("input", 2.0), ("output", 3.0)],
            mine.Skip(2).Select(measurement => (measurement.Tags.Split("gen_ai.token.type=")[1], measurement.Value))
        );
    }

    [Fact]
    public async Task GenerateAsync_Failure_KeepsPromptAndKeyOutOfTelemetry()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(500, "key sk-secret is not liked"));
        var measurements = new ConcurrentQueue<(string Name, double Value, string Tags)>();
        var spans = new ConcurrentQueue<Activity>();
        using var tracing = new ActivityListener
        {
            ShouldListenTo = source => source.Name == TeacherInstruments.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(tracing);
        using var metering = Listen(measurements);
        using var teacher = new TeacherPool(
            TestTeacher.Endpoint(server.Url, "sk-secret"),
            new ResilienceOptions { MaxRetries = 0 },
            TestTeacher.Time(),
            new RecordingObserver(),
            () => 0
        );

        await Assert.ThrowsAsync<ExternalFailureException>(() => teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token));

        var port = new Uri(server.Url).Port;
        var told = string.Join(
            '\n',
            spans
                .Where(span => Equals(span.GetTagItem("server.port"), port))
                .Select(span => $"{span.DisplayName} {span.StatusDescription} {string.Join(' ', span.TagObjects)}")
                .Concat(measurements.Select(measurement => measurement.Tags))
        );
        Assert.Contains("http_500", told, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-secret", told, StringComparison.Ordinal);
        Assert.DoesNotContain("What is 1 + 2?", told, StringComparison.Ordinal);
    }

    static MeterListener Listen(ConcurrentQueue<(string Name, double Value, string Tags)> measurements)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == TeacherInstruments.Name && !instrument.IsObservable)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>(
            (instrument, value, tags, _) => measurements.Enqueue((instrument.Name, value, Text(tags)))
        );
        listener.SetMeasurementEventCallback<int>(
            (instrument, value, tags, _) => measurements.Enqueue((instrument.Name, value, Text(tags)))
        );
        listener.Start();
        return listener;

        static string Text(ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            string.Join(' ', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"));
    }
}
