using TraceDistill.Data.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Files;

public sealed class FolderLockTests
{
    [Fact]
    public void Take_FolderInUse_NamesWhoHasIt()
    {
        using var folder = new TemporaryDirectory();
        using var first = FolderLock.Take(folder.Path);

        var error = Assert.Throws<ExternalFailureException>(() => FolderLock.Take(folder.Path));

        Assert.Contains("another run is using this folder", error.Message);
        Assert.Contains(OperatingSystem.IsWindows() ? "wait for it" : $"(process {Environment.ProcessId} on ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Take_FolderThatWasLetGo_IsTaken()
    {
        using var folder = new TemporaryDirectory();
        FolderLock.Take(folder.Path).Dispose();

        using var second = FolderLock.Take(folder.Path);

        Assert.True(FolderLock.IsHeld(folder.Path, FolderLock.FileName));
    }

    [Fact]
    public void TakePart_OtherParts_WorkAtTheSameTimeAndKeepTheWholeOut()
    {
        using var folder = new TemporaryDirectory();
        using (FolderLock.TakePart(folder.Path, ".lock-0-of-2"))
        using (FolderLock.TakePart(folder.Path, ".lock-1-of-2"))
        {
            Assert.Contains(
                "another run",
                Assert.Throws<ExternalFailureException>(() => FolderLock.TakePart(folder.Path, ".lock-1-of-2")).Message
            );
            Assert.Contains("another run", Assert.Throws<ExternalFailureException>(() => FolderLock.Take(folder.Path)).Message);
        }

        using var whole = FolderLock.Take(folder.Path);
        Assert.Contains(
            "another run",
            Assert.Throws<ExternalFailureException>(() => FolderLock.TakePart(folder.Path, ".lock-0-of-2")).Message
        );
    }
}
