using TraceDistill.Data.Shards.Codec;

namespace TraceDistill.Data.Shards;

/// <summary>Layout of soft targets in a shard.</summary>
public enum SoftTargetLayout
{
    /// <summary>One column <c>soft_targets</c>, written by <see cref="SoftTargetCodec"/>: small, with a bounded error.</summary>
    Compact,

    /// <summary>
    /// Two columns of flat lists, <c>topk_ids</c> and <c>topk_logprobs</c> (tokens × k): readable without
    /// a decoder, and as exact as what the teacher said.
    /// </summary>
    Plain,
}
