using TraceDistill.Models.Native;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Native;

public class TensorFloat32Tests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Dispose_SwitchedOnBeforeOrNot_LeavesTheProcessAsItWas(bool before)
    {
        var ambient = backends.cuda.matmul.allow_tf32;
        backends.cuda.matmul.allow_tf32 = before;
        try
        {
            using (new TensorFloat32())
            {
                Assert.True(backends.cuda.matmul.allow_tf32);
            }

            Assert.Equal(before, backends.cuda.matmul.allow_tf32);
        }
        finally
        {
            backends.cuda.matmul.allow_tf32 = ambient;
        }
    }
}
