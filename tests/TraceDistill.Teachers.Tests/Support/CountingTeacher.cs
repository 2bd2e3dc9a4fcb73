using System.Collections.Concurrent;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>A teacher in this process whose answer depends on the request alone, and that counts how often each was asked for.</summary>
sealed class CountingTeacher(Func<GenerationRequest, string>? finishReason = null) : ITextGenerator
{
    /// <summary>Seeds asked for, each with how often.</summary>
    public ConcurrentDictionary<long, int> Asked { get; } = new();

    public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var seed = request.Sampling.Seed!.Value;
        Asked.AddOrUpdate(seed, 1, (_, count) => count + 1);
        var reason = finishReason?.Invoke(request) ?? "stop";
        var ids = new[] { (int)(seed % 50), 60, 0 };
        return Task.FromResult(
            new GenerationResult
            {
                Reasoning = "as always",
                Answer = reason == "stop" ? $"{seed}" : "",
                Text = $"<think>as always</think>{seed}",
                FinishReason = reason.Length == 0 ? FinishReasons.Stop : reason,
                PromptTokens = 2,
                CompletionTokens = ids.Length,
                Logprobs = new TokenLogprobs
                {
                    K = 1,
                    TokenIds = ids,
                    Logprobs = [-0.5f, -0.25f, -1],
                    TopIds = ids,
                    TopLogprobs = [-0.5f, -0.25f, -1],
                },
            }
        );
    }
}
