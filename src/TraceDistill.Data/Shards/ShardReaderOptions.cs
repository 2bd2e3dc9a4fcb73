namespace TraceDistill.Data.Shards;

/// <summary>What of a data set is read, and how much of it is believed.</summary>
public sealed record ShardReaderOptions
{
    /// <summary>Whether alternatives are read. Without them traces have their tokens and logprobs, and <c>K</c> is 0.</summary>
    /// <value>true</value>
    public bool SoftTargets { get; init; } = true;

    /// <summary>Whether each shard is compared with its SHA-256 in the manifest before its first row is read.</summary>
    /// <value>true</value>
    public bool VerifyChecksums { get; init; } = true;
}
