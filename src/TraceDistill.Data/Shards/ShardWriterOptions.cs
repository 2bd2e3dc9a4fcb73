namespace TraceDistill.Data.Shards;

/// <summary>Options of cutting a data set into files.</summary>
public sealed record ShardWriterOptions
{
    /// <value><see cref="SoftTargetLayout.Compact"/></value>
    public SoftTargetLayout Layout { get; init; } = SoftTargetLayout.Compact;

    /// <summary>A shard is closed at the first row group that makes it this large.</summary>
    /// <value>512 MiB, the size Hugging Face's own tools cut at.</value>
    public long ShardBytes { get; init; } = 512L << 20;

    /// <summary>A row group is written once the traces waiting for it hold this much memory; it bounds writer and reader alike.</summary>
    /// <value>32 MiB</value>
    public long RowGroupBytes { get; init; } = 32L << 20;
}
