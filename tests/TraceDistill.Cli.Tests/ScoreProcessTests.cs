using System.Diagnostics;
using System.Text.Json;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>The real program as it has texts scored by a server in this process, killed without warning.</summary>
public sealed class ScoreProcessTests : IDisposable
{
    const int Count = 60;
    static readonly string Program = Path.Combine(
        AppContext.BaseDirectory,
        OperatingSystem.IsWindows() ? "tracedistill.exe" : "tracedistill"
    );
    readonly TemporaryDirectory _folder = new();

    static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Score_Killed_AsksForNothingThatItHasAndEndsWithTheSameBytes()
    {
        Directory.CreateDirectory(_folder.File("tokenizer"));
        ScoringServer.WriteVocabulary(_folder.File("tokenizer"));
        File.WriteAllLines(
            _folder.File("problems.jsonl"),
            Enumerable
                .Range(0, Count)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            id = $"p{i}",
                            problem = $"What is {i} + 2?",
                            answer = $"{i + 2}",
                            solution = $"Two more than {i} is {i + 2}.",
                        }
                    )
                )
        );
        await using var server = await ScoringServer.StartAsync("vllm");
        Assert.Equal(Count, (await RunAsync(server, "whole")).GetProperty("new").GetInt32());
        var before = server.Requests.Count;

        using (var killed = Start(server, "killed"))
        {
            server.Spoils = _ =>
            {
                if (server.Requests.Count - before >= Count / 2) // several are answered at a time
                {
                    killed.Kill();
                }
            };
            var (output, error) = (killed.StandardOutput.ReadToEndAsync(Token), killed.StandardError.ReadToEndAsync(Token));
            await killed.WaitForExitAsync(Token);
            Assert.True(killed.ExitCode is not 0, $"{await output}{await error}");
        }

        server.Spoils = _ => { };
        before = server.Requests.Count;
        var summary = await RunAsync(server, "killed");

        // Beside the texts that were not on disk, the probe of a run.
        var scored = summary.GetProperty("new").GetInt32();
        Assert.Equal(scored + 1, server.Requests.Count - before);
        Assert.InRange(scored, (Count / 2) - 8, Count - 5);
        Assert.Equal(Count, summary.GetProperty("scored").GetInt32());
        Assert.Equal(Files("whole"), Files("killed"));
        var reader = await ShardReader.OpenAsync(_folder.File("killed"), new ShardReaderOptions { VerifyChecksums = true }, Token);
        Assert.Equal(
            Enumerable.Range(0, Count).Select(i => $"p{i}"),
            await reader.ReadAsync(Token).Select(trace => trace.ProblemId).ToListAsync(Token)
        );
    }

    async Task<JsonElement> RunAsync(ScoringServer server, string name)
    {
        using var process = Start(server, name);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        await process.WaitForExitAsync(Token);
        Assert.True(process.ExitCode == 0, await error);
        return JsonDocument.Parse(await output).RootElement;
    }

    Process Start(ScoringServer server, string name) =>
        Process.Start(
            new ProcessStartInfo(
                Program,
                [
                    "score",
                    "--problems",
                    _folder.File("problems.jsonl"),
                    "--endpoint",
                    server.Url,
                    "--model",
                    "teacher",
                    "--tokenizer",
                    _folder.File("tokenizer"),
                    "--top-logprobs",
                    "4",
                    "--concurrency",
                    "4",
                    "--out",
                    _folder.File(name),
                    "--json",
                ]
            )
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;

    List<(string Name, string Content)> Files(string name) =>
        [
            .. Directory
                .EnumerateFiles(_folder.File(name), "*.parquet")
                .Order(StringComparer.Ordinal)
                .Select(file => (Path.GetFileName(file), Convert.ToBase64String(File.ReadAllBytes(file)))),
        ];
}
