using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>Teachers over a <see cref="ProtocolServer"/>, on virtual time and with the smallest jitter.</summary>
static class TestTeacher
{
    public static readonly SamplingSettings Sampling = new() { MaxTokens = 100, TopLogprobs = 3 };

    public static CancellationToken Token => TestContext.Current.CancellationToken;

    public static GenerationRequest Request { get; } = new("trace-1", [new ChatMessage("user", "What is 1 + 2?")], Sampling);

    /// <summary>Skips delays of up to a minute; attempts time out after longer.</summary>
    public static VirtualTime Time() => new(TimeSpan.FromSeconds(60));

    public static TeacherEndpoint Endpoint(string url, string? key = null) =>
        TeacherEndpoint.Create(
            new EndpointSettings
            {
                Url = url,
                Model = "teacher",
                ApiKeyEnv = key is null ? null : "TEACHER_KEY",
            },
            _ => key
        );

    public static TeacherPool Over(
        ProtocolServer server,
        VirtualTime time,
        ResilienceOptions? options = null,
        IRunObserver? observer = null,
        double jitter = 0
    ) => new(Endpoint(server.Url), options ?? new ResilienceOptions(), time, observer ?? SilentObserver.Instance, () => jitter);
}
