using TraceDistill.Data.Generation;

namespace TraceDistill.Inference;

/// <summary>Grows <see cref="TokenLogprobs"/> token by token.</summary>
sealed class TokenLog(int k)
{
    readonly List<int> _ids = [],
        _topIds = [];
    readonly List<float> _logprobs = [],
        _topLogprobs = [];

    public int K => k;

    public int Count => _ids.Count;

    public int LastToken => _ids[^1];

    /// <summary>Adds a token with at most k alternatives.</summary>
    public void Add(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        _ids.Add(token);
        _logprobs.Add(logprob);
        _topIds.AddRange(topIds);
        _topLogprobs.AddRange(topLogprobs);
        for (var missing = k - topIds.Length; missing > 0; missing--)
        {
            _topIds.Add(-1);
            _topLogprobs.Add(float.NegativeInfinity);
        }
    }

    public TokenLogprobs Build() =>
        new()
        {
            K = k,
            TokenIds = [.. _ids],
            Logprobs = [.. _logprobs],
            TopIds = [.. _topIds],
            TopLogprobs = [.. _topLogprobs],
        };
}
