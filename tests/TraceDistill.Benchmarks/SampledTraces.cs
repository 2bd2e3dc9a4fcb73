using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;

namespace TraceDistill.Benchmarks;

/// <summary>Text of a model without a prompt: real tokens and real logprobs for the storage benchmark.</summary>
static class SampledTraces
{
    public static async Task<(List<Trace> Traces, DatasetDescription Dataset)> CreateAsync(
        string model,
        int count,
        int tokens,
        int k,
        int firstToken
    )
    {
        using var engine = GenerationEngine.Load(model);
        var results = await Task.WhenAll(
            Enumerable
                .Range(0, count)
                .Select(seed =>
                    engine.GenerateAsync(
                        new SequenceRequest
                        {
                            Prompt = new[] { firstToken },
                            MaxTokens = tokens,
                            Seed = seed,
                            TopLogprobs = k,
                            StopTokens = [],
                        }
                    )
                )
        );
        var dataset = new DatasetDescription
        {
            Teacher = Path.GetFileName(model),
            TokenIdentity = TokenIdentity.Ids,
            VocabularySize = engine.Configuration.VocabSize,
            TopK = k,
        };
        return ([.. results.Select(Trace)], dataset);
    }

    static Trace Trace(SequenceResult result, int index) =>
        new()
        {
            Id = $"{index:x32}",
            ProblemId = "",
            Source = "",
            Messages = [],
            Reasoning = "",
            Answer = "",
            Generation = "",
            ExpectedAnswer = "",
            FinishReason = "length",
            Verdict = "unverified",
            Teacher = "",
            CompletionTokens = result.Tokens.Length,
            Logprobs = result.Logprobs,
        };
}
