using TraceDistill.Tests.Support;
using TraceDistill.Text.Files;
using Xunit;

namespace TraceDistill.Text.Tests.Files;

public sealed class DirectorySyncTests
{
    [Fact]
    public void MoveFolder_WithFoldersAndFiles_MovesAllOfThem()
    {
        using var folder = new TemporaryDirectory();
        Directory.CreateDirectory(folder.File("from/deep"));
        File.WriteAllText(folder.File("from/deep/text"), "x");

        DirectorySync.MoveFolder(folder.File("from"), folder.File("to"));

        Assert.Equal("x", File.ReadAllText(folder.File("to/deep/text")));
        Assert.False(Directory.Exists(folder.File("from")));
    }

    [Fact]
    public void MoveFile_OverAnotherOfThatName_TakesItsPlace()
    {
        using var folder = new TemporaryDirectory();
        File.WriteAllText(folder.File("old"), "old");
        File.WriteAllText(folder.File("new"), "new");

        DirectorySync.MoveFile(folder.File("new"), folder.File("old"));

        Assert.Equal("new", File.ReadAllText(folder.File("old")));
    }

    [Fact]
    public void Flush_DirectoryThatIsGone_Fails()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such call");
        using var folder = new TemporaryDirectory();

        Assert.Throws<IOException>(() => DirectorySync.Flush(folder.File("nowhere")));
    }
}
