using System.Net;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using TraceDistill.Cli.Recipes;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Telemetry;

/// <summary>
/// Sends what <see cref="TeacherInstruments"/> tells to where OpenTelemetry's own environment
/// variables say, and shows its metrics to Prometheus.
/// </summary>
sealed class TelemetryExport : IDisposable
{
    const string OtlpVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const int LongestShutdown = 500; // milliseconds, of each
    const string ServiceName = "tracedistill";

    readonly TracerProvider? _traces;
    readonly MeterProvider? _metrics;

    /// <param name="prometheusPort">Where Prometheus finds <c>/metrics</c>, on this machine alone; null for nowhere.</param>
    /// <param name="environment">Looks up an environment variable.</param>
    /// <exception cref="InvalidInputException">The port cannot be listened on.</exception>
    public TelemetryExport(int? prometheusPort, Func<string, string?> environment)
    {
        var isSent = !string.IsNullOrEmpty(environment(OtlpVariable));
        if (isSent)
        {
            _traces = Sdk.CreateTracerProviderBuilder()
                .ConfigureResource(Describe)
                .AddSource(TeacherInstruments.Name)
                .AddOtlpExporter()
                .Build();
        }

        if (isSent || prometheusPort is not null)
        {
            _metrics = Metrics(isSent, prometheusPort);
        }
    }

    /// <summary>Sends what is left, for a second at most: an interrupted run must not wait for a collector that does not answer.</summary>
    public void Dispose()
    {
        _traces?.Shutdown(LongestShutdown);
        _metrics?.Shutdown(LongestShutdown);
        _traces?.Dispose();
        _metrics?.Dispose();
    }

    static MeterProvider Metrics(bool isSent, int? prometheusPort)
    {
        var metrics = Sdk.CreateMeterProviderBuilder().ConfigureResource(Describe).AddMeter(TeacherInstruments.Name);
        if (isSent)
        {
            metrics.AddOtlpExporter();
        }

        if (prometheusPort is { } port)
        {
            metrics.AddPrometheusHttpListener(options =>
            {
                options.Port = port;

                // The options take one host, and both names of this machine are in use.
                options.ConfigureHttpListener = (_, listener) =>
                {
                    listener.Prefixes.Clear();
                    listener.Prefixes.Add($"http://localhost:{port}/");
                    listener.Prefixes.Add($"http://127.0.0.1:{port}/");
                };
            });
        }

        try
        {
            return metrics.Build();
        }
        catch (Exception e) when (e.GetBaseException() is HttpListenerException)
        {
            throw new InvalidInputException(
                $"prometheus_port: {prometheusPort} cannot be listened on ({e.GetBaseException().Message.TrimEnd('.')}); name another port",
                e
            );
        }
    }

    /// <summary>OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.</summary>
    static void Describe(ResourceBuilder resource) =>
        resource.AddService(ServiceName, serviceVersion: Fingerprint.ProgramVersion).AddEnvironmentVariableDetector();
}
