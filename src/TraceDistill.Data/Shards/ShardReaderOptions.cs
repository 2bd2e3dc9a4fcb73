namespace TraceDistill.Data.Shards;

/// <summary>Options of reading a data set: the columns, and the checks.</summary>
public sealed record ShardReaderOptions
{
    /// <summary>True where alternatives are read. Without them traces have their tokens and logprobs, and <c>K</c> is 0.</summary>
    /// <value>true</value>
    public bool SoftTargets { get; init; } = true;

    /// <summary>True where each shard is compared with its SHA-256 in the manifest before its first row is read.</summary>
    /// <value>true</value>
    public bool VerifyChecksums { get; init; } = true;
}
