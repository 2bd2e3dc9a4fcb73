using TraceDistill.Data.Generation;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// Brings a teacher's tokens into its tokenizer's vocabulary. Tokens named by their bytes alone get the id of the one token with
/// these bytes, never an encoding of their text (a byte that stands in for a character without a token, <c>&lt;0x38&gt;</c>,
/// only where no other token has it); ids beyond the vocabulary, the padding of an embedding, are nobody's.
/// </summary>
sealed class TokenResolver
{
    const int Nobody = -1;

    readonly Tokenizer? _tokenizer;
    readonly int _vocabularySize;
    readonly Dictionary<string, int> _ids = [];

    /// <param name="tokenizer">The teacher's; null where it is not known, and then ids are taken as they are.</param>
    public TokenResolver(Tokenizer? tokenizer)
    {
        _tokenizer = tokenizer;
        _vocabularySize = tokenizer?.VocabularySize ?? int.MaxValue;
        var fallbacks = new List<int>();
        for (var id = 0; id < tokenizer?.VocabularySize; id++)
        {
            if (tokenizer.IsByteFallback(id))
            {
                fallbacks.Add(id);
            }
            else if (tokenizer.GetBytes(id) is { Length: > 0 } bytes && !_ids.TryAdd(Key(bytes), id))
            {
                _ids[Key(bytes)] = Nobody;
            }
        }

        foreach (var id in fallbacks)
        {
            _ids.TryAdd(Key(tokenizer!.GetBytes(id)), id);
        }
    }

    /// <summary>The teacher's; null where it is not known.</summary>
    public Tokenizer? Tokenizer => _tokenizer;

    /// <returns>
    /// The same logprobs under ids of the vocabulary. Alternatives that are not in it join the tail mass;
    /// where a token that was drawn is not, the result is null and the trace serves the hard loss alone.
    /// </returns>
    /// <param name="logprobs">The teacher's; null gives null.</param>
    /// <param name="drawn">Ids of the tokens drawn, where they are known otherwise; null: they are named as the alternatives are.</param>
    public TokenLogprobs? Resolve(TokenLogprobs? logprobs, int[]? drawn = null)
    {
        if (
            logprobs is null
            || (logprobs.TokenBytes is null && !logprobs.TokenIds.Concat(logprobs.TopIds).Any(id => id >= _vocabularySize))
        )
        {
            return logprobs;
        }

        if (logprobs.TokenBytes is not null && _tokenizer is { HasExactBytes: false })
        {
            throw new InvalidInputException(
                $"{_tokenizer.File}: the endpoint names tokens by their bytes, and this decoder makes text of several tokens together; "
                    + "collect from a server that gives token ids, or without logprobs"
            );
        }

        var byBytes = logprobs.TokenBytes is null
            ? null
            : Array.ConvertAll(logprobs.TokenBytes, bytes => _ids.GetValueOrDefault(Key(bytes), Nobody));
        var tokenIds = drawn ?? Array.ConvertAll(logprobs.TokenIds, Find);
        if (tokenIds.Contains(Nobody))
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
                if (Find(logprobs.TopIds[i]) is >= 0 and var id)
                {
                    (topIds[kept], topLogprobs[kept++]) = (id, logprobs.TopLogprobs[i]);
                }
            }
        }

        return logprobs with
        {
            TokenIds = tokenIds,
            TopIds = topIds,
            TopLogprobs = topLogprobs,
            TokenBytes = null,
        };

        int Find(int id) =>
            id < 0 ? Nobody
            : byBytes is not null ? byBytes[id]
            : id < _vocabularySize ? id
            : Nobody;
    }

    static string Key(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, (chars, source) =>
        {
            for (var i = 0; i < chars.Length; i++)
            {
                chars[i] = (char)source[i];
            }
        });
}
