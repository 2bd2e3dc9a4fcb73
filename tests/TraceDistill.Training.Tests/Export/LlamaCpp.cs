using System.Text.Json;
using System.Text.Json.Serialization;
using TraceDistill.Tests.Support;

namespace TraceDistill.Training.Tests.Export;

/// <summary>llama.cpp, as npm's node-llama-cpp brings it.</summary>
static class LlamaCpp
{
    /// <summary>Loads GGUF files and asks each all that is given. Starting takes longer than answering: ask once.</summary>
    public static LlamaCppAnswer[] Ask(params IEnumerable<LlamaCppRequest> requests) => Peer.Run("llama.js", requests).Deserialize<LlamaCppAnswer[]>(JsonSerializerOptions.Web)!;

    public static double[] LogSoftmax(float[] logits)
    {
        var max = logits.Max();
        var normalizer = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        return [.. logits.Select(logit => logit - normalizer)];
    }
}

/// <summary>What to ask of one file.</summary>
sealed record LlamaCppRequest
{
    [JsonPropertyName("file")]
    public required string File { get; init; }

    /// <summary>To be made into ids.</summary>
    [JsonPropertyName("texts")]
    public IReadOnlyList<string> Texts { get; init; } = [];

    /// <summary>Ids after each of which all logits are wanted.</summary>
    [JsonPropertyName("sequences")]
    public IReadOnlyList<int[]> Sequences { get; init; } = [];

    /// <summary>Ids of which each but the first is to be scored.</summary>
    [JsonPropertyName("scored")]
    public IReadOnlyList<int[]> Scored { get; init; } = [];

    /// <summary>Ids to be continued.</summary>
    [JsonPropertyName("prompt")]
    public int[]? Prompt { get; init; }

    [JsonPropertyName("tokens")]
    public int Tokens { get; init; }

    /// <summary>What a user says.</summary>
    [JsonPropertyName("chat")]
    public string? Chat { get; init; }
}

/// <param name="Vocabulary">Tokens of the file.</param>
/// <param name="Ids">Of the texts.</param>
/// <param name="Logits">By sequence and position.</param>
/// <param name="Logprobs">By scored sequence and position.</param>
/// <param name="Continuation">Greedy.</param>
/// <param name="Answer">To what was said in a chat.</param>
sealed record LlamaCppAnswer(int Vocabulary, int[][] Ids, float[][][] Logits, double[][] Logprobs, int[] Continuation, string? Answer);
