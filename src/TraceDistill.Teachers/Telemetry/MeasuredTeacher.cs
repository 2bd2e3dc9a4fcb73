using System.Diagnostics;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Telemetry;

/// <summary>The teacher that spans and measurements are of, in the attributes of OpenTelemetry's conventions.</summary>
sealed class MeasuredTeacher
{
    MeasuredTeacher(string model, ActivityKind kind, string provider, params KeyValuePair<string, object?>[] place) =>
        (Model, Kind, Tags) = (model, kind, [Tag("gen_ai.provider.name", provider), Tag("gen_ai.request.model", model), .. place]);

    public static MeasuredTeacher At(TeacherEndpoint endpoint) =>
        new(
            endpoint.Model,
            ActivityKind.Client,
            ProviderOf(endpoint.BaseAddress.Host),
            Tag("server.address", endpoint.BaseAddress.Host),
            Tag("server.port", endpoint.BaseAddress.Port)
        )
        {
            Load = Tag("server.address", endpoint.BaseAddress.Authority),
        };

    /// <summary>A model in this process has no address; the conventions' kind of span is internal then.</summary>
    public static MeasuredTeacher InProcess(string model) =>
        new(model, ActivityKind.Internal, "tracedistill") { Load = Tag("gen_ai.request.model", model) };

    public string Model { get; }

    public ActivityKind Kind { get; }

    /// <summary>Provider, model and, where there is one, address.</summary>
    public IReadOnlyList<KeyValuePair<string, object?>> Tags { get; }

    /// <summary>Tells its load apart from that of others.</summary>
    public required KeyValuePair<string, object?> Load { get; init; }

    static KeyValuePair<string, object?> Tag(string name, object value) => new(name, value);

    /// <summary>The conventions' word where they have one; else the API that is spoken.</summary>
    static string ProviderOf(string host) =>
        host switch
        {
            _ when host.EndsWith(".openai.azure.com", StringComparison.OrdinalIgnoreCase) => "azure.ai.openai",
            _ when host.EndsWith("deepseek.com", StringComparison.OrdinalIgnoreCase) => "deepseek",
            _ => "openai",
        };
}
