using System.Globalization;
using System.Text.RegularExpressions;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>
/// File names of shards: <c>train-00000-of-00004.parquet</c>, as Hugging Face data sets have them,
/// and <c>train-00000-of-00004-00002.parquet</c> for the third shard of the first of four partitions.
/// </summary>
public static partial class ShardName
{
    /// <summary>Most shards, and most partitions: their numbers have five digits.</summary>
    public const int MostShards = 99_999;

    public static string Published(int index, int count) => $"train-{index:D5}-of-{count:D5}.parquet";

    /// <summary>Shard <paramref name="index"/> of one partition of a data set that several processes write.</summary>
    public static string Published(int partition, int partitions, int index) =>
        $"train-{partition:D5}-of-{partitions:D5}-{index:D5}.parquet";

    /// <summary>The manifest of such a partition.</summary>
    public static string PartitionManifest(int partition, int partitions) => $"part-{partition}-of-{partitions}.manifest.json";

    /// <summary>The name while the shard is being written and the count of shards is not known yet.</summary>
    internal static string Temporary(int index) => $"train-{index:D5}.parquet{AtomicFile.TemporarySuffix}";

    /// <summary>Index and count of a published shard; null for any other file.</summary>
    public static (int Index, int Count)? Parse(string fileName) =>
        PublishedPattern().Match(fileName) is { Success: true } match ? (Number(match, 1), Number(match, 2)) : null;

    /// <summary>Partition, number of partitions and index of a published shard of a partition; null for any other file.</summary>
    public static (int Partition, int Partitions, int Index)? ParsePartition(string fileName) =>
        PartitionPattern().Match(fileName) is { Success: true } match ? (Number(match, 1), Number(match, 2), Number(match, 3)) : null;

    internal static bool IsTemporary(string fileName) => TemporaryPattern().IsMatch(fileName);

    static int Number(Match match, int group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^train-(\d{5})-of-(\d{5})-(\d{5})\.parquet$", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex PartitionPattern();

    [GeneratedRegex(@"^train-(\d{5})-of-(\d{5})\.parquet$", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex PublishedPattern();

    [GeneratedRegex(@"^(train-\d{5}\.parquet|manifest\.json|README\.md)\.tmp$", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex TemporaryPattern();
}
