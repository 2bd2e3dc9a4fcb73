using TraceDistill.Cli.Recipes;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

public sealed class AvailableMemoryTests : IDisposable
{
    readonly TemporaryDirectory _root = new();

    public AvailableMemoryTests() =>
        Write("proc/meminfo", "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n");

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Read_NoGroups_IsWhatTheSystemHas() => Assert.Equal(8_000_000L * 1024, Read());

    [Fact]
    public void Read_GroupWithinALimitedOne_IsWhatTheTighterOneLeaves()
    {
        Write("proc/self/cgroup", "0::/slice/job\n");
        Group("sys/fs/cgroup/slice/job", "memory.max", "max", "memory.current", 3_000_000_000, "inactive_file", 0);
        Group("sys/fs/cgroup/slice", "memory.max", "5000000000", "memory.current", 4_000_000_000, "inactive_file", 500_000_000);

        Assert.Equal(1_500_000_000, Read());
    }

    [Fact]
    public void Read_ContainerThatSeesItsOwnGroupAsTheRoot_HasItsLimit()
    {
        Write("proc/self/cgroup", "0::/\n");
        Group("sys/fs/cgroup", "memory.max", "1000000000", "memory.current", 900_000_000, "inactive_file", 100_000_000);

        Assert.Equal(200_000_000, Read());
    }

    [Fact]
    public void Read_FirstVersionOfGroups_CountsThoseOfMemory()
    {
        Write("proc/self/cgroup", "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n1:name=systemd:/docker/x\n");
        Group(
            "sys/fs/cgroup/memory/docker/x",
            "memory.limit_in_bytes",
            "2000000000",
            "memory.usage_in_bytes",
            2_500_000_000,
            "total_inactive_file",
            1_000_000_000
        );

        Assert.Equal(500_000_000, Read());
    }

    [Fact]
    public void Read_GroupPastItsLimit_LeavesNothing()
    {
        Write("proc/self/cgroup", "0::/\n");
        Group("sys/fs/cgroup", "memory.max", "1000", "memory.current", 2000, "inactive_file", 0);

        Assert.Equal(0, Read());
    }

    [Fact]
    public void Read_NothingThere_IsUnknown() => Assert.Null(new AvailableMemory(_root.File("elsewhere")).Read());

    [Fact]
    public void Read_ThisMachine_IsMoreThanNothing() => Assert.True(new AvailableMemory().Read() > 0);

    long? Read()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc and /sys");
        return new AvailableMemory(_root.Path).Read();
    }

    void Group(string folder, string limitFile, string limit, string usedFile, long used, string key, long files)
    {
        Write($"{folder}/{limitFile}", $"{limit}\n");
        Write($"{folder}/{usedFile}", $"{used}\n");
        Write($"{folder}/memory.stat", $"anon 1\n{key} {files}\nactive_file 7\n");
    }

    void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_root.File(name))!);
        File.WriteAllText(_root.File(name), text);
    }
}
