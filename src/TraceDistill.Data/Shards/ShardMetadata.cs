using System.Text.Json;

namespace TraceDistill.Data.Shards;

/// <summary>Content of a shard's own Parquet metadata, so that a file can be understood without its manifest.</summary>
/// <param name="FormatVersion">As in the manifest.</param>
/// <param name="Dataset">As in the manifest.</param>
/// <param name="Layout">As in the manifest.</param>
sealed record ShardMetadata(int FormatVersion, DatasetDescription Dataset, SoftTargetLayout Layout)
{
    /// <summary>Key of the JSON text in the file's key/value metadata.</summary>
    public const string Key = "tracedistill";

    public string ToJson() => JsonSerializer.Serialize(this, StorageJson.Default.ShardMetadata);

    public static ShardMetadata? FromJson(string json) => JsonSerializer.Deserialize(json, StorageJson.Default.ShardMetadata);
}
