using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Shards;
using TraceDistill.Tests.Support;
using TraceDistill.TestServer.Forms;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>The real program as it collects from a server in this process: stopped by signal, and on a disk that fills up.</summary>
public sealed class GenerateProcessTests : IDisposable
{
    const int Interrupted = 130;
    const int OutsideFailure = 3;
    static readonly string Program = Path.Combine(AppContext.BaseDirectory, "tracedistill");
    readonly TemporaryDirectory _folder = new();

    static CancellationToken Token => TestContext.Current.CancellationToken;

    string Out => _folder.File("traces");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Generate_Terminated_KeepsWhatIsInFlightAndEndsWith130()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "stops by signal");
        var problems = WriteProblems(40);
        var (teach, hold) = (Replies.Teach(WireForms.TraceDistill), new TaskCompletionSource());
        var answered = 0;
        await using var server = await ProtocolServer.StartAsync(
            async (context, body) =>
            {
                if (IsTrace(body) && Interlocked.Increment(ref answered) > 8)
                {
                    await hold.Task;
                }

                await teach(context, body);
            }
        );

        using var process = Process.Start(
            new ProcessStartInfo(Program, Arguments(problems, server, Out)) { RedirectStandardError = true }
        )!;
        var (told, stopping) = (new StringBuilder(), new TaskCompletionSource());
        process.ErrorDataReceived += (_, line) =>
        {
            told.AppendLine(line.Data);
            if (line.Data?.StartsWith("stopping", StringComparison.Ordinal) ?? false)
            {
                stopping.SetResult();
            }
        };
        process.BeginErrorReadLine();
        while (server.Requests.Count(IsTrace) < 8 + 4)
        {
            await server.RequestArrivedAsync(Token);
        }

        using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]))
        {
            await kill.WaitForExitAsync(Token);
        }

        await stopping.Task.WaitAsync(Token);
        hold.SetResult();
        await process.WaitForExitAsync(Token);

        Assert.Equal((Interrupted, true), (process.ExitCode, told.ToString().Contains("interrupted", StringComparison.Ordinal)));
        Assert.Equal(12, server.Requests.Count(IsTrace));
        Assert.Equal(0, (await RunAsync(Program, Arguments(problems, server, Out))).ExitCode);
        Assert.Equal(40, await CountAsync(Out));
        Assert.Equal(40, server.Requests.Count(IsTrace));
    }

    [Theory]
    [InlineData("400k")]
    [InlineData("1200k")]
    public async Task Generate_DiskFillsUp_EndsWithThreeAndLosesNothingAcknowledged(string size)
    {
        var problems = WriteProblems(400);
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(WireForms.TraceDistill));
        var (disk, kept) = (_folder.File("disk"), _folder.File("kept"));
        Directory.CreateDirectory(disk);
        var probe = await RunAsync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", disk]);
        Assert.SkipUnless(probe.ExitCode == 0, "mounts of its own are not allowed here (unshare)");

        // The mount is there for these commands alone.
        const string Script = """
            mount -t tmpfs -o size="$1" tmpfs "$2" || exit 99
            "$4" "${@:5}"; echo "first $?"
            mount -o remount,size=64m "$2"
            "$4" "${@:5}" --json; echo "second $?"
            cp -r "$2/traces" "$3"
            """;
        var run = await RunAsync(
            "unshare",
            [
                "-rm",
                "bash",
                "-c",
                Script,
                "bash",
                size,
                disk,
                kept,
                Program,
                .. Arguments(problems, server, Path.Combine(disk, "traces")),
                "--shard-rows",
                "32",
            ]
        );

        Assert.Contains($"first {OutsideFailure}", run.Output);
        Assert.Contains("the disk is full", run.Error);
        Assert.Contains("second 0", run.Output);
        Assert.Equal(400, await CountAsync(kept));
        var summary = JsonDocument.Parse(run.Output[run.Output.IndexOf('{')..(run.Output.LastIndexOf('}') + 1)]).RootElement;
        var (asked, collected) = (server.Requests.Count(IsTrace), summary.GetProperty("collected").GetInt32());
        Assert.InRange(400 - collected, 5, 395);

        // Whatever was acknowledged in the first run was not asked for in the second; what was on its way when the disk was full, was.
        Assert.InRange(asked, 400, 400 + 64);
    }

    static string[] Arguments(string problems, ProtocolServer server, string directory) =>
        [
            "generate",
            "--problems",
            problems,
            "--endpoint",
            server.Url,
            "--model",
            "teacher",
            "--out",
            directory,
            "--max-tokens",
            "200",
            "--concurrency",
            "4",
        ];

    string WriteProblems(int count)
    {
        var path = _folder.File("problems.jsonl");
        File.WriteAllLines(
            path,
            Enumerable
                .Range(0, count)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            id = $"p{i}",
                            problem = $"What is {i} + 2?",
                            answer = $"{i + 2}",
                        }
                    )
                )
        );
        return path;
    }

    static bool IsTrace(string body) => body.Contains(" + 2?", StringComparison.Ordinal);

    static async Task<int> CountAsync(string directory)
    {
        var reader = await ShardReader.OpenAsync(directory, new ShardReaderOptions { VerifyChecksums = true }, Token);
        return await reader.ReadAsync(Token).Select(trace => trace.Id).Distinct().CountAsync(Token);
    }

    static async Task<(int ExitCode, string Output, string Error)> RunAsync(string program, IEnumerable<string> arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true }
        )!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        await process.WaitForExitAsync(Token);
        return (process.ExitCode, await output, await error);
    }
}
