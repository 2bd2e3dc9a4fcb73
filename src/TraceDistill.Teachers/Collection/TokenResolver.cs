using TraceDistill.Core.Generation;
using TraceDistill.Core.Tokenization;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Finds the ids of tokens that a teacher names by their bytes alone: each a unique match in the vocabulary, never an encoding of their text.
/// </summary>
sealed class TokenResolver
{
    const int Ambiguous = -2;

    readonly Dictionary<string, int>? _ids;

    /// <param name="tokenizer">The teacher's; null where the teacher tells ids, which need no help.</param>
    public TokenResolver(Tokenizer? tokenizer)
    {
        if (tokenizer is null)
        {
            return;
        }

        _ids = [];
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            if (tokenizer.GetBytes(id) is { Length: > 0 } bytes && !_ids.TryAdd(Key(bytes), id))
            {
                _ids[Key(bytes)] = Ambiguous;
            }
        }
    }

    /// <returns>
    /// The same logprobs under true ids. Alternatives without a unique match join the tail mass; where a token that was drawn has none, the
    /// result is null and the trace serves the hard loss alone.
    /// </returns>
    public TokenLogprobs? Resolve(TokenLogprobs? logprobs)
    {
        if (logprobs?.TokenBytes is not { } table)
        {
            return logprobs;
        }

        var map = Array.ConvertAll(table, bytes => _ids?.GetValueOrDefault(Key(bytes), -1) ?? -1);
        var tokenIds = Array.ConvertAll(logprobs.TokenIds, id => map[id]);
        if (tokenIds.Any(id => id < 0))
        {
            return null;
        }

        var (topIds, topLogprobs) = (new int[logprobs.TopIds.Length], new float[logprobs.TopIds.Length]);
        Array.Fill(topIds, -1);
        Array.Fill(topLogprobs, float.NegativeInfinity);
        for (var row = 0; row < topIds.Length; row += logprobs.K)
        {
            var kept = row;
            for (var i = row; i < row + logprobs.K; i++)
            {
                if (logprobs.TopIds[i] >= 0 && map[logprobs.TopIds[i]] is >= 0 and var id)
                {
                    (topIds[kept], topLogprobs[kept++]) = (id, logprobs.TopLogprobs[i]);
                }
            }
        }

        return logprobs with { TokenIds = tokenIds, TopIds = topIds, TopLogprobs = topLogprobs, TokenBytes = null };
    }

    static string Key(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, (chars, source) =>
    {
        for (var i = 0; i < chars.Length; i++)
        {
            chars[i] = (char)source[i];
        }
    });
}
