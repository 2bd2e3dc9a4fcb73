using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Shards;

/// <summary>Keeps out of a data set what a trainer would only find out about much later.</summary>
public static class TraceValidation
{
    /// <remarks>Alternatives that are there in their encoding alone were looked at before they were encoded.</remarks>
    /// <exception cref="InvalidInputException">Names the trace and what is wrong with it.</exception>
    public static void Check(Trace trace, DatasetDescription dataset)
    {
        if (trace.Logprobs is not { } logprobs)
        {
            return;
        }

        if (Problem(logprobs, dataset) is { } problem)
        {
            throw new InvalidInputException($"trace {trace.Id}: {problem}");
        }
    }

    static string? Problem(TokenLogprobs logprobs, DatasetDescription dataset)
    {
        var tokens = logprobs.Count;
        var vocabulary = dataset.VocabularySize ?? NumberCoding.Limit;
        if (dataset.TokenIdentity == TokenIdentity.Text)
        {
            return "it has token ids, and the data set is described as text only";
        }
        if (logprobs.K != dataset.TopK)
        {
            return $"it has {logprobs.K} alternatives a token, and the data set is described as having {dataset.TopK}";
        }
        if (logprobs.Logprobs.Length != tokens)
        {
            return $"it has {tokens} token ids but {logprobs.Logprobs.Length} logprobs";
        }
        var isEncoded = logprobs is { Encoded: not null, TopIds.Length: 0, TopLogprobs.Length: 0 };
        if (!isEncoded && (logprobs.TopIds.Length != (long)tokens * logprobs.K || logprobs.TopLogprobs.Length != logprobs.TopIds.Length))
        {
            return $"its alternatives ({logprobs.TopIds.Length} ids, "
                + $"{logprobs.TopLogprobs.Length} logprobs) are not {tokens} tokens × {logprobs.K}";
        }

        for (var t = 0; t < tokens; t++)
        {
            if (logprobs.TokenIds[t] < 0 || logprobs.TokenIds[t] >= vocabulary)
            {
                return $"token {t} has id {logprobs.TokenIds[t]}, outside the vocabulary of {vocabulary}";
            }
            if (!(logprobs.Logprobs[t] <= SoftTargetRow.LargestLogprob))
            {
                return $"token {t} has logprob {logprobs.Logprobs[t]}";
            }
            if (!isEncoded && SoftTargetRow.Problem(logprobs, t, vocabulary) is { } problem)
            {
                return $"token {t} {problem}";
            }
        }

        return null;
    }
}
