using TraceDistill.Inference.Sequences;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Inference.Tests;

/// <summary>Alone, because what is measured is the whole process.</summary>
[CollectionDefinition(nameof(EngineMemoryTests), DisableParallelization = true)]
[Collection(nameof(EngineMemoryTests))]
public class EngineMemoryTests
{
    [Fact]
    public async Task GenerateAsync_ThousandsOfSteps_TakesNoMoreMemory()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(
            parameters,
            new EngineOptions
            {
                Threads = 2,
                MaxRunning = 8,
                CacheBytes = 2 << 20,
            }
        );
        for (var round = 0; round < 4; round++)
        {
            await RoundAsync(engine); // until what runs hot is compiled
        }

        var before = ProcessMemory.Resident();
        for (var round = 0; round < 10; round++)
        {
            await RoundAsync(engine); // 3 × 120 steps
        }

        Assert.InRange(ProcessMemory.Resident() - before, long.MinValue, 8 << 20);
    }

    static Task<SequenceResult[]> RoundAsync(GenerationEngine engine) =>
        Task.WhenAll(
            Enumerable
                .Range(0, 24)
                .Select(i =>
                    engine.GenerateAsync(
                        new SequenceRequest
                        {
                            Prompt = TinyModel.Prompt(30, i),
                            MaxTokens = 120,
                            Seed = i,
                            TopLogprobs = 5,
                            StopTokens = [],
                        },
                        TestContext.Current.CancellationToken
                    )
                )
        );
}
