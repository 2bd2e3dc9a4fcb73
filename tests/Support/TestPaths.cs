using Xunit;

namespace TraceDistill.Tests.Support;

/// <summary>Where tests find the repository's own files and the data sets that stand beside a checkout.</summary>
static class TestPaths
{
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>A file or folder of the data sets in <c>../shared/data</c>; skips the calling test where it is absent.</summary>
    public static string SharedData(string relative) => Shared($"data/{relative}");

    /// <summary>A file or folder of <c>../shared</c>; skips the calling test where it is absent.</summary>
    public static string Shared(string relative)
    {
        var path = Path.GetFullPath(Path.Combine(RepositoryRoot, "..", "shared", relative));
        Assert.SkipUnless(Path.Exists(path), $"the test data set {relative} is not beside this checkout");
        return path;
    }

    static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "TraceDistill.sln")))
        {
            folder = folder.Parent ?? throw new DirectoryNotFoundException("no TraceDistill.sln above the test binaries");
        }

        return folder.FullName;
    }
}
