using TraceDistill.Core.Alignment;

namespace TraceDistill.Core.Packing;

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
        int tokens = sequences.Sum(sequence => sequence.Ids.Length), trained = sequences.Sum(sequence => sequence.Trained);
        var (ids, rows, targets) = (new int[tokens], new int[trained], new int[trained]);
        var (starts, tails) = (new int[trained + 1], new float[trained]);
        var (softIds, softLogprobs) = (new List<int>(), new List<float>());
        var (unmatchedStarts, unmatched) = (new int[trained + 1], new List<float>());
        int start = 0, m = 0;
        foreach (var sequence in sequences)
        {
            if (sequence.FirstTrained < 1)
            {
                throw new ArgumentException("the first token of a sequence cannot be trained on", nameof(sequences));
            }

            sequence.Ids.CopyTo(ids, start);
            var soft = sequence.Soft?.Read();
            for (var j = sequence.FirstTrained; j < sequence.Ids.Length; j++, m++)
            {
                (rows[m], targets[m], starts[m]) = (start + j - 1, sequence.Ids[j], softIds.Count);
                unmatchedStarts[m] = unmatched.Count;
                if (soft is not null)
                {
                    var row = j - sequence.FirstTrained;
                    tails[m] = soft.Tail[row];
                    for (var i = row * soft.K; i < (row + 1) * soft.K && soft.Ids[i] >= 0; i++)
                    {
                        softIds.Add(soft.Ids[i]);
                        softLogprobs.Add(soft.Logprobs[i]);
                    }

                    for (var i = row * soft.K; i < soft.Unmatched.Length && i < (row + 1) * soft.K && soft.Unmatched[i] > 0; i++)
                    {
                        unmatched.Add(soft.Unmatched[i]);
                    }
                }
            }

            start += sequence.Ids.Length;
        }

        (starts[trained], unmatchedStarts[trained]) = (softIds.Count, unmatched.Count);
        return new PackedBatch
        {
            Ids = ids,
            Lengths = [.. sequences.Select(sequence => sequence.Ids.Length)],
            Rows = rows,
            Targets = targets,
            SoftStarts = starts,
            SoftIds = [.. softIds],
            SoftLogprobs = [.. softLogprobs],
            Tails = tails,
            UnmatchedStarts = unmatchedStarts,
            Unmatched = [.. unmatched],
        };
    }
}
