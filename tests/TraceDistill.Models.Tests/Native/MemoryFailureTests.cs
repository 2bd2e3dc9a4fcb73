using System.Runtime.InteropServices;
using TraceDistill.Models.Native;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Native;

public class MemoryFailureTests
{
    /// <summary>The first is libtorch's own, of more than any machine has; a GPU's words are those of its allocator.</summary>
    [Fact]
    public void IsMemoryFull_LibtorchWithoutMemory_IsTrue()
    {
        var full = Assert.ThrowsAny<ExternalException>(() => zeros(1L << 50));
        Assert.True(MemoryFailure.IsMemoryFull(full), full.Message);
        Assert.True(MemoryFailure.IsMemoryFull(new ExternalException("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …")));
        Assert.True(
            MemoryFailure.IsMemoryFull(new ExternalException("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."))
        );
        Assert.False(MemoryFailure.IsMemoryFull(Assert.ThrowsAny<ExternalException>(() => zeros(2, 3).mm(zeros(2, 3)))));
        Assert.False(MemoryFailure.IsMemoryFull(new InvalidDataException("out of memory")));
    }
}
