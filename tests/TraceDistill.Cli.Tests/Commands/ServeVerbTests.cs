using System.Text.RegularExpressions;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Serving;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Tests.Support;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed partial class ServeVerbTests : IDisposable
{
    // Delays between attempts are over at once.
    readonly CliHarness _cli = new() { Others = [new ServeVerb(), new DoctorVerb()], Time = new VirtualTime(TimeSpan.FromMinutes(1)) };
    readonly TinyModelDirectory _model = new();

    public void Dispose()
    {
        _model.Dispose();
        _cli.Dispose();
    }

    [Fact]
    public async Task Serve_UntilInterrupted_AnswersAndEndsWell()
    {
        var serving = _cli.RunAsync("serve", "--model", _model.Path, "--name", "tiny", "--port", "0", "--json");
        await _cli.Said("(Ctrl-C stops)");
        var address = Address().Match(_cli.Error).Value;

        using var http = new HttpClient();
        Assert.Contains("\"tiny\"", await http.GetStringAsync($"{address}/models", TestContext.Current.CancellationToken));
        await _cli.Interruption.CancelAsync();

        Assert.Equal(0, await serving);
        Assert.Equal("tiny", (string)_cli.Json["model"]!);
    }

    [Fact]
    public async Task Doctor_EndpointThatTellsTokenIds_IsWell()
    {
        await using var server = await ModelServer.StartAsync(
            new ServeOptions
            {
                Model = _model.Path,
                Name = "tiny",
                Port = 0,
            },
            cancellationToken: TestContext.Current.CancellationToken
        );

        Assert.Equal(0, await _cli.RunAsync("doctor", "--endpoint", server.Endpoint.ToString(), "--model", "tiny", "--json"));

        Assert.Matches(
            "^tiny at http://127.0.0.1:[0-9]+/v1: dialect tracedistill, top 20 logprobs with token ids .*, prompt ids returned",
            (string)_cli.Json["checks"]!.AsArray()[^1]!["detail"]!
        );
    }

    [Fact]
    public async Task Doctor_EndpointThatDraws_IsWellForDraws()
    {
        await using var server = await ModelServer.StartAsync(
            new ServeOptions
            {
                Model = _model.Path,
                Name = "tiny",
                Port = 0,
            },
            cancellationToken: TestContext.Current.CancellationToken
        );
        string[] doctor = ["doctor", "--endpoint", server.Endpoint.ToString(), "--model", "tiny", "--sampled-logprobs", "12", "--json"];

        Assert.Equal(0, await _cli.RunAsync(doctor));
        Assert.Equal("ok", (string)_cli.Json["checks"]!.AsArray()[^1]!["state"]!);
        Assert.Equal(12, (int)_cli.Json["endpoint"]!["top_logprobs"]!);
        Assert.Equal(2, await _cli.RunAsync([.. doctor, "--top-logprobs", "5"]));
        Assert.Contains("not both", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_EndpointThatDoesNotAnswer_FailsThatLine()
    {
        Assert.Equal(3, await _cli.RunAsync("doctor", "--endpoint", "http://127.0.0.1:9", "--model", "m", "--json"));

        Assert.StartsWith(
            "cannot reach m at http://127.0.0.1:9/v1",
            (string)_cli.Json["checks"]!.AsArray()[^1]!["detail"]!,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("ftp://x", "m", "error: --endpoint: the address is not an HTTP address")]
    [InlineData("http://127.0.0.1:9", "", "error: --model: name the model")]
    public async Task Doctor_EndpointThatIsNone_IsWrongUsage(string endpoint, string model, string expected)
    {
        Assert.Equal(2, await _cli.RunAsync("doctor", "--endpoint", endpoint, "--model", model));

        Assert.StartsWith(expected, _cli.Error, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+/v1")]
    private static partial Regex Address();
}
