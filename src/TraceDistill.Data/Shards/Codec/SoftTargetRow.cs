using TraceDistill.Data.Generation;

namespace TraceDistill.Data.Shards.Codec;

/// <summary>Rules that make k logprobs the head of a distribution.</summary>
static class SoftTargetRow
{
    /// <summary>Logprobs above zero by rounding are let through up to this.</summary>
    public const float LargestLogprob = 1e-2f;

    /// <summary>Excess over one that the probabilities of a row may sum to: a server's 16-bit logits are off by that much.</summary>
    public const double LargestOvershoot = 1e-2;

    /// <summary>Number of alternatives in a row before its filling (id −1).</summary>
    public static int Count(ReadOnlySpan<int> ids)
    {
        var filling = ids.IndexOf(-1);
        return filling < 0 ? ids.Length : filling;
    }

    /// <returns>The fault of row <paramref name="t"/>, such as "repeats id 7"; null where nothing is.</returns>
    public static string? Problem(TokenLogprobs logprobs, int t, int vocabularySize)
    {
        var k = logprobs.K;
        var ids = logprobs.TopIds.AsSpan(t * k, k);
        var values = logprobs.TopLogprobs.AsSpan(t * k, k);
        var count = Count(ids);
        double mass = 0;
        for (var i = 0; i < k; i++)
        {
            if (i >= count)
            {
                if (ids[i] != -1 || !float.IsNegativeInfinity(values[i]))
                {
                    return $"has alternatives after its filling, at rank {i}";
                }
                continue;
            }

            if (ids[i] < 0 || ids[i] >= vocabularySize)
            {
                return $"has alternative {ids[i]}, outside the vocabulary of {vocabularySize}";
            }
            if (ids[..i].Contains(ids[i]))
            {
                return $"has alternative {ids[i]} twice";
            }
            if (!(values[i] <= LargestLogprob) || !float.IsFinite(values[i]))
            {
                return $"has logprob {values[i]} at rank {i}";
            }
            if (i > 0 && values[i] > values[i - 1])
            {
                return $"has its alternatives out of order at rank {i}";
            }
            mass += Math.Exp(values[i]);
        }

        return mass > 1 + LargestOvershoot ? $"has alternatives whose probabilities sum to {mass:0.####}" : null;
    }
}
