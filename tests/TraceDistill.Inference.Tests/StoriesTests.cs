using System.Text.Json;
using TraceDistill.Inference.Sequences;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Inference.Tests;

/// <summary>A trained model of another project with logits computed by that project's own program.</summary>
[Trait("Category", "Numeric")]
public class StoriesTests
{
    [Fact]
    public async Task GenerateAsync_Stories260K_ContinuesAsTheReferenceDoes()
    {
        var folder = TestPaths.SharedData("stories260K");
        using var engine = GenerationEngine.Load(folder, new EngineOptions { Threads = 1, CacheBytes = 16 << 20 });
        var greedy = Sequences(folder)[0];

        var result = await engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = greedy.Ids.AsMemory(0, 1),
                MaxTokens = greedy.Ids.Length - 1,
                Temperature = 0,
                StopTokens = [],
            },
            TestContext.Current.CancellationToken
        );

        Assert.Equal(greedy.Ids[1..], result.Tokens);
    }

    [Fact]
    public async Task GenerateAsync_Stories260KToBeScored_ScoresAsTheReferenceDoes()
    {
        var folder = TestPaths.SharedData("stories260K");
        using var engine = GenerationEngine.Load(folder, new EngineOptions { Threads = 2, CacheBytes = 16 << 20 });
        foreach (var (ids, logits) in Sequences(folder))
        {
            var request = new SequenceRequest
            {
                Prompt = ids,
                MaxTokens = 0,
                PromptTopLogprobs = 512,
            };
            var scores = (await engine.GenerateAsync(request, TestContext.Current.CancellationToken)).PromptLogprobs!;
            for (var t = 0; t < ids.Length - 1; t++)
            {
                var expected = ReferenceDecoder.LogSoftmax(logits[t]);
                for (var j = 0; j < 512; j++)
                {
                    Assert.Equal(expected[scores.TopIds[t * 512 + j]], scores.TopLogprobs[t * 512 + j], 2e-4);
                }
            }
        }
    }

    static List<(int[] Ids, double[][] Logits)> Sequences(string folder)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "reference.json")));
        return
        [
            .. json
                .RootElement.GetProperty("sequences")
                .EnumerateArray()
                .Select(sequence =>
                    (sequence.GetProperty("input_ids").Deserialize<int[]>()!, sequence.GetProperty("logits").Deserialize<double[][]>()!)
                ),
        ];
    }
}
