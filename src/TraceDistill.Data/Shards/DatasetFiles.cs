using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>Finds the files of a data set and checks that they are all there.</summary>
static class DatasetFiles
{
    /// <summary>The shards at <paramref name="path"/> in order.</summary>
    public static IReadOnlyList<string> Find(string path, ShardManifest? manifest)
    {
        if (InputFile.Fault(path) is { } fault)
        {
            throw new InvalidInputException($"{path}: {fault}");
        }

        if (File.Exists(path))
        {
            return [path];
        }

        if (!Directory.Exists(path))
        {
            throw new InvalidInputException($"{path}: no such file or directory; name a directory of trace shards or a .parquet file");
        }

        return manifest is null ? FromNames(path) : [.. manifest.Shards.Select(shard => Checked(path, shard))];
    }

    static string Checked(string directory, ShardEntry shard)
    {
        if (shard.File != Path.GetFileName(shard.File) || shard.File.Length == 0 || shard.File.Contains('\0', StringComparison.Ordinal))
        {
            throw new InvalidInputException(
                $"{Path.Combine(directory, ShardManifest.FileName)}: names a shard that is not a file beside it; restore the file"
            );
        }

        InputFile.RefuseSpecial(Path.Combine(directory, shard.File));
        var file = new FileInfo(Path.Combine(directory, shard.File));
        if (!file.Exists)
        {
            throw new InvalidInputException($"{file}: is in the manifest but not in the directory; restore it or collect again");
        }

        return file.Length == shard.Bytes
            ? file.ToString()
            : throw new InvalidInputException(
                $"{file}: has {file.Length} bytes, and the manifest says {shard.Bytes}; restore it or collect again"
            );
    }

    static string[] FromNames(string directory)
    {
        string[] files = [.. Directory.EnumerateFiles(directory, "*.parquet").Order(StringComparer.Ordinal)];
        if (files.Length == 0)
        {
            throw new InvalidInputException(
                $"{directory}: holds no trace shards (train-*.parquet); name the directory that generate wrote"
            );
        }

        // The names say how many there ought to be.
        foreach (var file in files)
        {
            if (
                ShardName.ParsePartition(Path.GetFileName(file)) is { Partitions: var partitions }
                && Enumerable
                    .Range(0, partitions)
                    .Select(partition => ShardName.PartitionManifest(partition, partitions))
                    .FirstOrDefault(name => !File.Exists(Path.Combine(directory, name)))
                    is { } missingPartition
            )
            {
                throw new InvalidInputException(
                    $"{Path.Combine(directory, missingPartition)}: is missing beside "
                        + $"{Path.GetFileName(file)}; collect this partition as well (--partition)"
                );
            }

            if (ShardName.Parse(Path.GetFileName(file)) is not { Count: var count })
            {
                continue;
            }

            var missing = Enumerable
                .Range(0, count)
                .Select(index => ShardName.Published(index, count))
                .FirstOrDefault(name => !File.Exists(Path.Combine(directory, name)));
            if (missing is not null)
            {
                throw new InvalidInputException(
                    $"{Path.Combine(directory, missing)}: is missing beside {Path.GetFileName(file)}; restore it or collect again"
                );
            }
        }

        return files;
    }
}
