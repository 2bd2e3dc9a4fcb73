using LLama.Native;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>llama.cpp in this process, as LLamaSharp brings it.</summary>
static class LlamaCpp
{
    static readonly Lazy<string?> Absence = new(Load);

    /// <summary>Skips the calling test where llama.cpp cannot be loaded.</summary>
    public static void Require() => Assert.SkipWhen(Absence.Value is not null, $"llama.cpp cannot be loaded here: {Absence.Value}");

    /// <summary>Loads GGUF files, one after the other, and asks each all that is given.</summary>
    public static LlamaCppAnswer[] Ask(params IEnumerable<LlamaCppRequest> requests)
    {
        Require();
        return [.. requests.Select(Answer)];
    }

    public static double[] LogSoftmax(ReadOnlySpan<float> logits)
    {
        double max = float.NegativeInfinity,
            sum = 0;
        foreach (var logit in logits)
        {
            max = Math.Max(max, logit);
        }

        foreach (var logit in logits)
        {
            sum += Math.Exp(logit - max);
        }

        var (normalizer, result) = (max + Math.Log(sum), new double[logits.Length]);
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = logits[i] - normalizer;
        }

        return result;
    }

    static string? Load()
    {
        try
        {
            // Else it tells all it does.
            NativeLibraryConfig.All.WithLogCallback((_, _) => { });
            NativeApi.llama_empty_call();
            return null;
        }
        catch (Exception absent) when (absent is TypeInitializationException or DllNotFoundException or LLama.Exceptions.RuntimeError)
        {
            return (absent.InnerException ?? absent).Message;
        }
    }

    static LlamaCppAnswer Answer(LlamaCppRequest request)
    {
        using var model = new LlamaCppModel(request.File);
        return new LlamaCppAnswer(
            model.VocabularySize,
            [.. request.Texts.Select(model.Tokenize)],
            [.. request.Sequences.Select(ids => model.Evaluate(ids, logits => logits.ToArray()))],
            [.. request.Scored.Select(ids => model.Evaluate(ids[..^1], LogSoftmax).Zip(ids[1..], (row, id) => row[id]).ToArray())],
            request.Prompt is { } prompt ? [.. model.Continue(prompt).Take(request.Tokens)] : [],
            request.Chat is { } chat ? model.AnswerTo(chat) : null
        );
    }
}

/// <summary>Request about one file.</summary>
sealed record LlamaCppRequest
{
    public required string File { get; init; }

    /// <summary>To be made into ids: special tokens in them are recognised and none added.</summary>
    public IReadOnlyList<string> Texts { get; init; } = [];

    /// <summary>Ids after each of which all logits are wanted.</summary>
    public IReadOnlyList<int[]> Sequences { get; init; } = [];

    /// <summary>Ids of which each but the first is to be scored.</summary>
    public IReadOnlyList<int[]> Scored { get; init; } = [];

    /// <summary>Ids to be continued.</summary>
    public int[]? Prompt { get; init; }

    public int Tokens { get; init; }

    /// <summary>A user's message.</summary>
    public string? Chat { get; init; }
}

/// <param name="Vocabulary">Tokens of the file.</param>
/// <param name="Ids">Of the texts.</param>
/// <param name="Logits">By sequence and position.</param>
/// <param name="Logprobs">By scored sequence and position.</param>
/// <param name="Continuation">Greedy.</param>
/// <param name="Answer">To what was said in a chat, greedy, special tokens written out.</param>
sealed record LlamaCppAnswer(int Vocabulary, int[][] Ids, float[][][] Logits, double[][] Logprobs, int[] Continuation, string? Answer);
