using System.Diagnostics;
using TraceDistill.Data.Contracts;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.TestServer.Soak;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>A small soak; the benchmark <c>soak</c> is the large one.</summary>
public sealed class SoakTests
{
    const string UrlVariable = "TRACEDISTILL_SOAK_ENDPOINT";
    const string ProblemsVariable = "TRACEDISTILL_SOAK_PROBLEMS";
    const string OutVariable = "TRACEDISTILL_SOAK_OUT";

    [Fact(Timeout = 240_000)]
    public async Task RunAsync_FaultyServerAndKilledProcesses_EndsWithEachTraceOnceAndAsTheServerGaveIt()
    {
        using var folder = new TemporaryDirectory();
        var soak = new SoakRun(
            new SoakOptions
            {
                Problems = 120,
                Kills = 4,
                Collector = Collector,
            },
            folder.Path
        );

        var outcome = await soak.RunAsync(TestContext.Current.CancellationToken);

        Assert.Empty(outcome.Violations);
        Assert.Equal((120, 0), (outcome.Traces, outcome.RepeatedAfterCommit));
        Assert.InRange(outcome.Kills, 2, 4 + SoakRun.MostKillsInPublication);
        Assert.InRange(outcome.Requests, 130, 400);
    }

    /// <summary>Work of the killed process; run by the soak alone.</summary>
    [Fact(Explicit = true)]
    public async Task CollectForTheSoak()
    {
        string Setting(string name) =>
            Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set");
        var options = new GenerateOptions
        {
            Problems = Setting(ProblemsVariable),
            Endpoint = Setting(UrlVariable),
            Model = "teacher",
            TopLogprobs = SoakOptions.TopLogprobs,
            MaxTokens = SoakOptions.MaxTokens,
            Concurrency = 4,
            ShardRows = 16,
        };

        // Delays between attempts are skipped.
        await CollectStage.RunAsync(
            options,
            Setting(OutVariable),
            MathVerifier.Instance,
            SilentObserver.Instance,
            TestTeacher.Time(),
            TestContext.Current.CancellationToken
        );
    }

    static ProcessStartInfo Collector(string problems, string url, string directory) =>
        new(
            Path.Combine(AppContext.BaseDirectory, "TraceDistill.Teachers.Tests"),
            ["-explicit", "only", "-method", $"{typeof(SoakTests).FullName}.{nameof(CollectForTheSoak)}"]
        )
        {
            RedirectStandardOutput = true,
            Environment =
            {
                [UrlVariable] = url,
                [ProblemsVariable] = problems,
                [OutVariable] = directory,
            },
        };
}
