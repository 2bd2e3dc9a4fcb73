using System.Net;
using System.Net.Sockets;
using TraceDistill.Cli.Telemetry;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Telemetry;

public sealed class TelemetryExportTests
{
    [Fact]
    public async Task PrometheusPort_RequestThatFailed_IsFoundThere()
    {
        var port = FreePort();
        using var export = new TelemetryExport(port, _ => null);
        using var teacher = new TeacherPool(
            TeacherEndpoint.Create(new EndpointSettings { Url = $"http://127.0.0.1:{FreePort()}/v1", Model = "some-model" }),
            new ResilienceOptions { MaxRetries = 0 },
            TimeProvider.System,
            SilentObserver.Instance
        );
        await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.GenerateAsync(
                new GenerationRequest("id", [new ChatMessage("user", "secret question")], new SamplingSettings()),
                TestContext.Current.CancellationToken
            )
        );

        using var http = new HttpClient();
        var page = await http.GetStringAsync($"http://127.0.0.1:{port}/metrics", TestContext.Current.CancellationToken);

        Assert.Matches(
            "gen_ai_client_operation_duration_seconds_count\\{.*error_type=\"no_connection\".*gen_ai_request_model=\"some-model\".*\\} 1",
            page
        );
        Assert.Contains("tracedistill_teacher_limit", page, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", page, StringComparison.Ordinal);
    }

    [Fact]
    public void PrometheusPort_InUse_IsNamed()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;

        Assert.StartsWith(
            $"prometheus_port: {port} ",
            Assert.Throws<InvalidInputException>(() => new TelemetryExport(port, _ => null)).Message,
            StringComparison.Ordinal
        );
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
