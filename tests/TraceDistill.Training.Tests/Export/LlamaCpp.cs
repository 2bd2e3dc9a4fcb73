using System.Text.Json;
using System.Text.Json.Serialization;
using TraceDistill.Tests.Support;

namespace TraceDistill.Training.Tests.Export;

/// <summary>llama.cpp, as npm's node-llama-cpp brings it.</summary>
static class LlamaCpp
{
    /// <summary>Loads GGUF files and asks each all that is given. Starting takes longer than answering: ask once.</summary>
    public static LlamaCppAnswer[] Ask(params IEnumerable<LlamaCppRequest> requests) => Peer.Run("llama.js", requests).Deserialize<LlamaCppAnswer[]>(JsonSerializerOptions.Web)!;

    /// <summary>Mean negative log-probability of all tokens but the first.</summary>
    public static double Loss(float[][] logits, int[] ids) =>
        ids.Skip(1).Index().Average(token => -LogSoftmax(logits[token.Index])[token.Item]);

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

    /// <summary>Ids whose every position is to be scored.</summary>
    [JsonPropertyName("sequences")]
    public IReadOnlyList<int[]> Sequences { get; init; } = [];

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
/// <param name="Tensors">How each is stored, as a number of ggml's.</param>
/// <param name="Ids">Of the texts.</param>
/// <param name="Logits">By sequence and position.</param>
/// <param name="Continuation">Greedy.</param>
/// <param name="Template">The file's chat template.</param>
/// <param name="Answer">To what was said in a chat.</param>
sealed record LlamaCppAnswer(int Vocabulary, Dictionary<string, int> Tensors, int[][] Ids, float[][][] Logits, int[] Continuation, string? Template, string? Answer);
