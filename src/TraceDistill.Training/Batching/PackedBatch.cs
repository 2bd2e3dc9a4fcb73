using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>
/// Sequences laid one after another without padding, and what each trained token is to be. Here, and only here, the shift is made: the
/// token at position j is predicted by the output at j − 1.
/// </summary>
public sealed record PackedBatch
{
    /// <summary>[N] tokens of all sequences.</summary>
    public required int[] Ids { get; init; }

    /// <summary>Tokens of each sequence; attention and positions start anew in each.</summary>
    public required int[] Lengths { get; init; }

    /// <summary>[M] row of the output that predicts each trained token.</summary>
    public required int[] Rows { get; init; }

    /// <summary>[M] the trained tokens.</summary>
    public required int[] Targets { get; init; }

    /// <summary>[M + 1] where each trained token's soft targets start in <see cref="SoftIds"/>; equal neighbours mean none.</summary>
    public required int[] SoftStarts { get; init; }

    /// <summary>Soft-target ids of all trained tokens.</summary>
    public required int[] SoftIds { get; init; }

    /// <summary>Their log-probabilities.</summary>
    public required float[] SoftLogprobs { get; init; }

    /// <summary>[M] log-probability of everything else.</summary>
    public required float[] Tails { get; init; }

    /// <summary>[M + 1] where each trained token's probabilities start in <see cref="Unmatched"/>.</summary>
    public required int[] UnmatchedStarts { get; init; }

    /// <summary>Probabilities of the teacher's alternatives that the student has no token for, the largest first within a token.</summary>
    public required float[] Unmatched { get; init; }

    /// <exception cref="ArgumentException">A sequence trains on its first token, which nothing predicts.</exception>
    public static PackedBatch Create(IReadOnlyList<TraceTokens> sequences)
    {
        var targetsOf = sequences.Select(sequence => sequence.Soft?.Read()).ToArray();
        int tokens = sequences.Sum(sequence => sequence.Ids.Length),
            trained = sequences.Sum(sequence => sequence.Trained);
        var softCount = targetsOf.Sum(soft => soft is null ? 0 : Enumerable.Range(0, soft.Tail.Length).Sum(soft.Present));
        var unmatchedCount = targetsOf.Sum(soft => soft?.Unmatched.Count(probability => probability > 0) ?? 0);
        var batch = new PackedBatch
        {
            Ids = new int[tokens],
            Lengths = [.. sequences.Select(sequence => sequence.Ids.Length)],
            Rows = new int[trained],
            Targets = new int[trained],
            SoftStarts = new int[trained + 1],
            SoftIds = new int[softCount],
            SoftLogprobs = new float[softCount],
            Tails = new float[trained],
            UnmatchedStarts = new int[trained + 1],
            Unmatched = new float[unmatchedCount],
        };
        int start = 0,
            m = 0;
        foreach (var (sequence, soft) in sequences.Zip(targetsOf))
        {
            if (sequence.FirstTrained < 1)
            {
                throw new ArgumentException("the first token of a sequence cannot be trained on", nameof(sequences));
            }

            sequence.Ids.CopyTo(batch.Ids, start);
            for (var j = sequence.FirstTrained; j < sequence.Ids.Length; j++, m++)
            {
                (batch.Rows[m], batch.Targets[m]) = (start + j - 1, sequence.Ids[j]);
                (batch.SoftStarts[m + 1], batch.UnmatchedStarts[m + 1]) = (batch.SoftStarts[m], batch.UnmatchedStarts[m]);
                if (soft is not null)
                {
                    batch.Copy(soft, j - sequence.FirstTrained, m);
                }
            }

            start += sequence.Ids.Length;
        }

        return batch;
    }

    /// <summary>Takes over a row of soft targets for trained token <paramref name="m"/>.</summary>
    void Copy(SoftTargets soft, int row, int m)
    {
        var (first, count) = (row * soft.K, soft.Present(row));
        Tails[m] = soft.Tail[row];
        soft.Ids.AsSpan(first, count).CopyTo(SoftIds.AsSpan(SoftStarts[m]));
        soft.Logprobs.AsSpan(first, count).CopyTo(SoftLogprobs.AsSpan(SoftStarts[m]));
        SoftStarts[m + 1] += count;
        for (var i = first; i < soft.Unmatched.Length && i < first + soft.K && soft.Unmatched[i] > 0; i++)
        {
            Unmatched[UnmatchedStarts[m + 1]++] = soft.Unmatched[i];
        }
    }
}
