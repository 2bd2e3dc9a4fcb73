using System.Diagnostics;
using System.Runtime.InteropServices;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>
/// The real program on a processor without vectors of 256 bits, as the runtime's own switch makes one: it may be slow, but says so.
/// </summary>
public sealed class NarrowVectorTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("evaluate --limit 1 --max-tokens 1 --model")]
    [InlineData("generate --limit 1 --max-tokens 2 --top-logprobs 2 --out OUT --serve")]
    public async Task Command_ThatComputes_SaysThatItIsSlow(string command)
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "the switch is one of x64");
        var problems = _folder.File("problems.jsonl");
        await File.WriteAllTextAsync(
            problems,
            """{"problem": "What is 12 + 30?", "answer": "42"}""",
            TestContext.Current.CancellationToken
        );
        var arguments = command.Replace("OUT", _folder.File("out")).Split(' ').Concat([Teacher, "--problems", problems]);
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "tracedistill"), arguments)
        {
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_EnableAVX2"] = "0";

        using var process = Process.Start(start)!;
        var told = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.True(process.ExitCode == 0, told);
        Assert.Contains("no vectors of 256 bits here", told);
    }
}
