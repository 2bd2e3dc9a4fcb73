using TraceDistill.Data.Shards;
using TraceDistill.Teachers;

namespace TraceDistill.Cli.Commands;

/// <summary>Traces that a stage made before something changed, taken over into its new folder.</summary>
static class EarlierTraces
{
    /// <summary>The tokens of those traces count against the budget still.</summary>
    public static void CopyUsage(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var usage in CollectStage.UsageFilesIn(from))
        {
            Copy(usage, to);
        }
    }

    /// <summary>The traces themselves, and what they were asked for with.</summary>
    public static void Copy(string from, ShardManifest manifest, string to, CancellationToken cancellationToken)
    {
        foreach (var shard in manifest.Shards)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Copy(Path.Combine(from, shard.File), to);
        }

        if (CollectStage.OptionsFileIn(from) is { } asked)
        {
            Copy(asked, to);
        }

        manifest.Save(to);
    }

    static void Copy(string file, string folder) => File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
}
