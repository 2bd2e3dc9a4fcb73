using System.Globalization;
using System.Text.RegularExpressions;

namespace TraceDistill.Core.Storage;

/// <summary>File names of shards: <c>train-00000-of-00004.parquet</c>, as Hugging Face data sets have them.</summary>
static partial class ShardName
{
    public static string Published(int index, int count) => $"train-{index:D5}-of-{count:D5}.parquet";

    /// <summary>The name while the shard is being written and the count of shards is not known yet.</summary>
    public static string Temporary(int index) => $"train-{index:D5}.parquet{AtomicFile.TemporarySuffix}";

    /// <summary>Index and count of a published shard; null for any other file.</summary>
    public static (int Index, int Count)? Parse(string fileName) => PublishedPattern().Match(fileName) is { Success: true } match
        ? (int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture), int.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture))
        : null;

    public static bool IsTemporary(string fileName) => TemporaryPattern().IsMatch(fileName);

    [GeneratedRegex(@"^train-(\d{5})-of-(\d{5})\.parquet$")]
    private static partial Regex PublishedPattern();

    [GeneratedRegex(@"^(train-\d{5}\.parquet|manifest\.json|README\.md)\.tmp$")]
    private static partial Regex TemporaryPattern();
}
