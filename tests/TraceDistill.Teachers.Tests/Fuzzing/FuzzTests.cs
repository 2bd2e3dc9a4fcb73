using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Fuzzing;

/// <summary>
/// Damaged input of every kind: no crash, no hang, no memory without bound. By itself: it watches what the process allocates.
/// </summary>
[Collection(nameof(FuzzTests))]
[CollectionDefinition(nameof(FuzzTests), DisableParallelization = true)]
public sealed class FuzzTests
{
    [Theory(Timeout = 120_000)]
    [InlineData("chat completions", 3000)]
    [InlineData("streams", 1000)]
    [InlineData("native generations", 1000)]
    [InlineData("errors", 1000)]
    [InlineData("lists of models", 500)]
    [InlineData("journalled traces", 2000)]
    [InlineData("soft targets", 2000)]
    [InlineData("journals", 60)]
    [InlineData("shards", 150)]
    [InlineData("pages of shards", 100)]
    [InlineData("footers of shards", 500)]
    [InlineData("manifests", 500)]
    public Task Read_DamagedInput_GivesADocumentedErrorAtMost(string target, int inputs) =>
        RunAsync(target, inputs, seed: 1, TestContext.Current.CancellationToken);

    /// <summary>
    /// Not for every day: run with <c>-explicit only</c>. The seed is the environment's TRACEDISTILL_FUZZ_SEED, 2 without one.
    /// </summary>
    [Theory(Explicit = true)]
    [InlineData("chat completions", 50_000)]
    [InlineData("streams", 10_000)]
    [InlineData("native generations", 10_000)]
    [InlineData("errors", 10_000)]
    [InlineData("lists of models", 4000)]
    [InlineData("journalled traces", 10_000)]
    [InlineData("soft targets", 10_000)]
    [InlineData("journals", 1000)]
    [InlineData("shards", 4000)]
    [InlineData("pages of shards", 4000)]
    [InlineData("footers of shards", 10_000)]
    [InlineData("manifests", 2000)]
    public Task Read_HundredThousandDamagedInputs_GivesADocumentedErrorAtMost(string target, int inputs) =>
        RunAsync(
            target,
            inputs,
            ulong.Parse(Environment.GetEnvironmentVariable("TRACEDISTILL_FUZZ_SEED") ?? "2"),
            TestContext.Current.CancellationToken
        );

    static async Task RunAsync(string target, int inputs, ulong seed, CancellationToken cancellationToken)
    {
        using var folder = new TemporaryDirectory();
        await (await FuzzTargets.CreateAsync(target, folder)).RunAsync(inputs, seed, cancellationToken);
    }
}
