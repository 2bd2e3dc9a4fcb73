using TraceDistill.Tests.Support;
using TraceDistill.Text.Files;
using Xunit;

namespace TraceDistill.Text.Tests.Files;

public sealed class AtomicFileTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Write_ThatFails_LeavesTheOldFileAndNothingElse()
    {
        var path = _directory.File("file");
        AtomicFile.WriteAllText(path, "old");

        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(path, stream => throw Halfway(stream)));
        await Assert.ThrowsAsync<InvalidOperationException>(() => AtomicFile.WriteAsync(path, stream => throw Halfway(stream)));

        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_directory.Path));

        static InvalidOperationException Halfway(Stream stream)
        {
            stream.Write("half of the new one"u8);
            return new InvalidOperationException();
        }
    }

    [Fact]
    public void Write_BesideALeftoverOfAKilledRun_ReplacesBoth()
    {
        var path = _directory.File("file");
        File.WriteAllText(path, "old and longer");
        File.WriteAllText(path + AtomicFile.TemporarySuffix, "left over, and longer still");

        AtomicFile.WriteAllText(path, "new ü");

        Assert.Equal("new ü"u8.ToArray(), File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFiles(_directory.Path));
    }
}
