using TraceDistill.Models.Native;
using Xunit;

namespace TraceDistill.Models.Tests.Native;

public class ElfVersionNeedsTests
{
    static readonly string Shim = Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so");

    [Fact]
    public void MarkWeak_VersionThatTheShimNeeds_ChangesOneFlag()
    {
        Assert.SkipUnless(File.Exists(Shim), "no Linux build of the shim on this platform");
        var original = File.ReadAllBytes(Shim);
        var image = original.ToArray();

        Assert.Equal(1, ElfVersionNeeds.MarkWeak(image, "GLIBCXX_3.4.32"));
        Assert.Single(original.Zip(image), pair => pair.First != pair.Second);
    }

    [Fact]
    public void MarkWeak_VersionThatNothingNeeds_ChangesNothing()
    {
        Assert.SkipUnless(File.Exists(Shim), "no Linux build of the shim on this platform");
        var original = File.ReadAllBytes(Shim);
        var image = original.ToArray();

        Assert.Equal(0, ElfVersionNeeds.MarkWeak(image, "GLIBCXX_9.9"));
        Assert.Equal(original, image);
    }

    [Fact]
    public void MarkWeak_NotAnElfFile_Throws() =>
        Assert.Throws<BadImageFormatException>(() => ElfVersionNeeds.MarkWeak(new byte[100], "GLIBCXX_3.4.32"));

    [Fact]
    public void Torch_OnThisMachine_Computes() => Assert.Equal(3f, TorchSharp.torch.ones(3).sum().item<float>());
}
