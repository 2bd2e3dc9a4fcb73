using TraceDistill.Data.Generation;

namespace TraceDistill.Data.Shards.Codec;

/// <summary>Between a row of logprobs and its whole numbers.</summary>
static class RowQuantizer
{
    /// <summary>Puts row <paramref name="t"/> into <paramref name="row"/>.</summary>
    public static void Quantize(TokenLogprobs logprobs, int t, QuantizedRow row)
    {
        var k = logprobs.K;
        var ids = logprobs.TopIds.AsSpan(t * k, k);
        row.Count = SoftTargetRow.Count(ids);
        ids = ids[..row.Count];
        var values = logprobs.TopLogprobs.AsSpan(t * k, row.Count);
        double best = row.Count == 0 ? 0 : values[0];
        for (var i = 0; i < row.Count; i++)
        {
            row.Ids[i] = ids[i];
            row.Steps[i] = LogprobGrid.ToSteps(best - values[i]);
        }

        var tail = TailMass.Logprob(values);
        row.TailSteps = float.IsNegativeInfinity(tail) ? QuantizedRow.NoTail : LogprobGrid.ToSteps(best - tail);
        row.SampledId = logprobs.TokenIds[t];
        row.SampledRank = ids.IndexOf(row.SampledId) is >= 0 and var rank ? rank : row.Count;
        row.SampledSteps = LogprobGrid.ToSteps(best - logprobs.Logprobs[t]);
    }

    /// <summary>Restores row <paramref name="t"/>: the alternatives and the tail, scaled so that they sum to one.</summary>
    public static void Restore(QuantizedRow row, TokenLogprobs logprobs, int t)
    {
        var k = logprobs.K;
        var mass = row.TailSteps == QuantizedRow.NoTail ? 0 : Math.Exp(-LogprobGrid.ToGap(row.TailSteps));
        for (var i = 0; i < row.Count; i++)
        {
            mass += Math.Exp(-LogprobGrid.ToGap(row.Steps[i]));
        }

        if (!double.IsFinite(mass))
        {
            throw new InvalidDataException("the soft targets hold a logprob that is out of range");
        }

        var best = row.Count == 0 ? 0 : -Math.Log(mass);
        for (var i = 0; i < k; i++)
        {
            var present = i < row.Count;
            logprobs.TopIds[t * k + i] = present ? row.Ids[i] : -1;
            logprobs.TopLogprobs[t * k + i] = present ? (float)(best - LogprobGrid.ToGap(row.Steps[i])) : float.NegativeInfinity;
        }

        logprobs.TokenIds[t] = row.SampledId;
        logprobs.Logprobs[t] = (float)(best - LogprobGrid.ToGap(row.SampledSteps));
    }
}
