using TraceDistill.Data.Generation;

namespace TraceDistill.Tests.Support;

/// <summary>Soft targets as draws leave them: counts of N, some tokens often and most once.</summary>
static class SampledCounts
{
    /// <summary>Distinct tokens with log(count / N), the more frequent first.</summary>
    public static (int[] Ids, float[] Logprobs) Row(Random random, int draws, int vocabulary = 1000)
    {
        var sharpness = 1 + (random.NextDouble() * 8);
        var counts = Enumerable
            .Range(0, draws)
            .CountBy(_ => (int)(vocabulary * Math.Pow(random.NextDouble(), sharpness)))
            .OrderByDescending(one => one.Value)
            .ToArray();
        return ([.. counts.Select(one => one.Key)], [.. counts.Select(one => (float)Math.Log((double)one.Value / draws))]);
    }

    /// <summary>A generation of such rows, K = N.</summary>
    public static TokenLogprobs Of(Random random, int tokens, int draws)
    {
        var rows = Enumerable.Range(0, tokens).Select(_ => Row(random, draws)).ToArray();
        return new TokenLogprobs
        {
            K = draws,
            TokenIds = [.. rows.Select(row => row.Ids[0])],
            Logprobs = [.. rows.Select(row => row.Logprobs[0])],
            TopIds = [.. rows.SelectMany(row => row.Ids.Concat(Enumerable.Repeat(-1, draws - row.Ids.Length)))],
            TopLogprobs =
            [
                .. rows.SelectMany(row => row.Logprobs.Concat(Enumerable.Repeat(float.NegativeInfinity, draws - row.Ids.Length))),
            ],
        };
    }
}
