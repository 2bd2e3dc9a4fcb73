using System.Numerics;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Collection;

/// <summary>Options of keeping traces.</summary>
/// <param name="Cut">Cut into shards.</param>
/// <param name="Reask">Kinds of traces that are collected again.</param>
/// <param name="Synchronous">When to wait for the disk.</param>
sealed record StoreOptions(BlockCut Cut, IReadOnlyList<TraceFlaw> Reask, JournalSync Synchronous)
{
    /// <summary>Identity of the traces wanted; those that are there must be of the same.</summary>
    /// <value>Null: whoever opens the store sees to that.</value>
    public CollectionIdentity? Identity { get; init; }

    /// <summary>Returns whether a trace that is there with this note is asked for again.</summary>
    /// <value>None is.</value>
    public Predicate<string> ReasksNoted { get; init; } = _ => false;

    /// <summary>True where traces that are there and not wanted are given up.</summary>
    public bool Discard { get; init; }

    /// <summary>Layout of soft targets in shards.</summary>
    public SoftTargetLayout Layout { get; init; } = SoftTargetLayout.Compact;

    const int MostRows = 1 << 16;
    const long ShardBytes = 512L << 20; // what Hugging Face's own tools cut at

    /// <summary>A power of two of traces that make no more than half a gigabyte even if all are as long as allowed.</summary>
    public static int RowsFor(int maxTokens, int topLogprobs, SoftTargetLayout layout = SoftTargetLayout.Compact)
    {
        // Measured on compact top-20 shards: 33 bytes a token, 8 of them for the token drawn and
        // its logprob. Plain, an alternative is an int and a float.
        var bytesPerTrace = maxTokens * (8 + ((layout == SoftTargetLayout.Compact ? 1.3 : 8) * topLogprobs));
        return (int)Math.Clamp(BitOperations.RoundUpToPowerOf2((ulong)(ShardBytes / bytesPerTrace) + 1) / 2, 1, MostRows);
    }
}
