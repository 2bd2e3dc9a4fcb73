using System.Globalization;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// Memory that processes of this machine may still take: what the system has, and no more than what the cgroups of this process leave.
/// </summary>
/// <param name="root">Where <c>/proc</c> and <c>/sys</c> lie.</param>
sealed class AvailableMemory(string root = "/")
{
    /// <summary>In bytes; null where it cannot be found out.</summary>
    /// <remarks>Outside of Linux it is what the runtime saw when it last collected garbage.</remarks>
    public long? Read()
    {
        if (!OperatingSystem.IsLinux())
        {
            var seen = GC.GetGCMemoryInfo();
            return seen.TotalAvailableMemoryBytes > 0 ? Math.Max(0, seen.TotalAvailableMemoryBytes - seen.MemoryLoadBytes) : null;
        }

        try
        {
            List<long> limits = [.. OfSystem(), .. OfGroups()];
            return limits.Count == 0 ? null : Math.Max(0, limits.Min());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    IEnumerable<long> OfSystem()
    {
        const string Key = "MemAvailable:";
        if (
            Lines("proc/meminfo").FirstOrDefault(line => line.StartsWith(Key, StringComparison.Ordinal)) is { } line
            && Number(line[Key.Length..].Trim().Split(' ')[0]) is { } kilobytes
        )
        {
            yield return kilobytes * 1024;
        }
    }

    /// <summary>
    /// Memory left by each group with a limit that this process is in, those around it included. Files that were read into memory make
    /// room
    /// when asked to.
    /// </summary>
    IEnumerable<long> OfGroups()
    {
        foreach (var line in Lines("proc/self/cgroup"))
        {
            if (line.Split(':', 3) is not [_, var controllers, var path])
            {
                continue;
            }

            var isSecond = controllers.Length == 0;
            if (!isSecond && !controllers.Split(',').Contains("memory"))
            {
                continue;
            }

            for (var group = path.Trim('/'); ; group = Path.GetDirectoryName(group) ?? "")
            {
                var left = isSecond
                    ? Left(Path.Combine("sys/fs/cgroup", group), "memory.max", "memory.current", "inactive_file ")
                    : Left(
                        Path.Combine("sys/fs/cgroup/memory", group),
                        "memory.limit_in_bytes",
                        "memory.usage_in_bytes",
                        "total_inactive_file "
                    );
                if (left is not null)
                {
                    yield return left.Value;
                }

                if (group.Length == 0)
                {
                    break;
                }
            }
        }
    }

    /// <param name="files">Begins the line of memory.stat that tells what files take and give back.</param>
    /// <returns>Null where the group has no limit.</returns>
    long? Left(string folder, string limit, string used, string files)
    {
        if (First(Path.Combine(folder, limit)) is not { } most || First(Path.Combine(folder, used)) is not { } taken)
        {
            return null;
        }

        var line = Lines(Path.Combine(folder, "memory.stat")).FirstOrDefault(line => line.StartsWith(files, StringComparison.Ordinal));
        return most - Math.Max(0, taken - (line is null ? 0 : Number(line[files.Length..]) ?? 0));
    }

    /// <summary>The number in a file; null where there is none, such as "max".</summary>
    long? First(string file) => Lines(file).Select(Number).FirstOrDefault();

    IEnumerable<string> Lines(string file) => Path.Combine(root, file) is var path && File.Exists(path) ? File.ReadLines(path) : [];

    static long? Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
