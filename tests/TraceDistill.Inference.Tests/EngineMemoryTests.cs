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

    /// <summary>Attention of these sizes would hold 16 KiB a token: 150 MB more.</summary>
    [Fact]
    public async Task GenerateAsync_RecurrentModel_HoldsAsMuchAfterTenThousandTokensAsAfterAHundred()
    {
        using var parameters = TinyModel.Create(
            DecoderShapes.Recurrent with
            {
                NumHiddenLayers = 16,
                Recurrence = new() { StateSize = 128, ConvKernel = 4 },
                MaxPositionEmbeddings = 20_000,
            }
        );
        using var engine = new GenerationEngine(parameters, new EngineOptions { Threads = 1, CacheBytes = 512 << 20 });
        await HeldAsync(1_000); // until what runs hot is compiled

        var (few, many) = (await HeldAsync(100), await HeldAsync(10_000));

        // A quarter of what attention would hold: the runtime's own heaps and compiled code come and go by megabytes.
        Assert.InRange(many - few, long.MinValue, 9_900 * (16 << 10) / 4);

        async Task<long> HeldAsync(int tokens)
        {
            var request = new SequenceRequest
            {
                Prompt = new[] { 4, 5, 6 },
                MaxTokens = tokens,
                StopTokens = [],
            };
            Assert.Equal(tokens, (await engine.GenerateAsync(request, TestContext.Current.CancellationToken)).Tokens.Length);
            return ProcessMemory.Resident();
        }
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
