using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

// M = trained tokens of a batch

/// <summary>One stored teacher's soft targets of a batch.</summary>
public sealed record PackedSoftTargets
{
    /// <summary>[M + 1] where each trained token's entries start; equal neighbours mean none.</summary>
    public required int[] Starts { get; init; }

    /// <summary>Ids of all trained tokens' entries.</summary>
    public required int[] Ids { get; init; }

    /// <summary>Their log-probabilities.</summary>
    public required float[] Logprobs { get; init; }

    /// <summary>[M] log-probability of everything else.</summary>
    public required float[] Tails { get; init; }

    /// <summary>The number of a trained token's entries.</summary>
    public int Count(int m) => Starts[m + 1] - Starts[m];

    /// <summary>The ids of a trained token's entries.</summary>
    public ReadOnlySpan<int> IdsOf(int m) => Ids.AsSpan(Starts[m]..Starts[m + 1]);

    /// <summary>The log-probabilities of a trained token's entries.</summary>
    public ReadOnlySpan<float> LogprobsOf(int m) => Logprobs.AsSpan(Starts[m]..Starts[m + 1]);

    /// <summary>No soft targets of any token.</summary>
    internal static PackedSoftTargets None(int trained) =>
        new()
        {
            Starts = new int[trained + 1],
            Ids = [],
            Logprobs = [],
            Tails = new float[trained],
        };

    /// <param name="sequences">The batch.</param>
    /// <param name="targets">Soft targets of each; null for none.</param>
    internal static PackedSoftTargets Of(IReadOnlyList<TraceTokens> sequences, IReadOnlyList<SoftTargets?> targets)
    {
        var trained = sequences.Sum(sequence => sequence.Trained);
        var count = targets.Sum(soft => soft is null ? 0 : Enumerable.Range(0, soft.Tail.Length).Sum(soft.Present));
        var packed = new PackedSoftTargets
        {
            Starts = new int[trained + 1],
            Ids = new int[count],
            Logprobs = new float[count],
            Tails = new float[trained],
        };
        var m = 0;
        foreach (var (sequence, soft) in sequences.Zip(targets))
        {
            for (var row = 0; row < sequence.Trained; row++, m++)
            {
                packed.Starts[m + 1] = packed.Starts[m];
                if (soft is not null)
                {
                    packed.Copy(soft, row, m);
                }
            }
        }

        return packed;
    }

    void Copy(SoftTargets soft, int row, int m)
    {
        var (first, count) = (row * soft.K, soft.Present(row));
        Tails[m] = soft.Tail[row];
        soft.Ids.AsSpan(first, count).CopyTo(Ids.AsSpan(Starts[m]));
        soft.Logprobs.AsSpan(first, count).CopyTo(Logprobs.AsSpan(Starts[m]));
        Starts[m + 1] += count;
    }
}
