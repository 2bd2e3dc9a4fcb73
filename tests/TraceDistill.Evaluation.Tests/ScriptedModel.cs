using System.Collections.Concurrent;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;

namespace TraceDistill.Evaluation.Tests;

/// <summary>Answers as a function of the question and the sample's seed, in an order of its own, and notes what it was asked.</summary>
sealed class ScriptedModel(Func<GenerationRequest, string> answer) : ITextGenerator
{
    public ConcurrentBag<GenerationRequest> Asked { get; } = [];

    /// <summary>Called before each answer; may await, to shuffle the order of completion, or throw.</summary>
    public Func<GenerationRequest, Task> Before { get; init; } = _ => Task.CompletedTask;

    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        await Before(request);
        Asked.Add(request);
        var text = answer(request);
        return new GenerationResult
        {
            Reasoning = "",
            Answer = text,
            Text = text,
            FinishReason = text.Length == 0 ? "length" : "stop",
            CompletionTokens = 2,
            Logprobs =
                request.Sampling.TopLogprobs == 0
                    ? null
                    : new TokenLogprobs
                    {
                        K = 1,
                        TokenIds = [5, 0],
                        Logprobs = [MathF.Log(0.5f), 0],
                        TopIds = [5, 0],
                        TopLogprobs = [MathF.Log(0.5f), 0],
                    },
        };
    }
}
