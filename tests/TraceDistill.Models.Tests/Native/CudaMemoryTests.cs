using TorchSharp;
using TraceDistill.Models.Native;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Native;

public sealed class CudaMemoryTests
{
    [Fact]
    public void Total_DeviceThatIsNotThere_IsNotKnown() => Assert.Null(CudaMemory.Total(new Device(DeviceType.CUDA, 1_000)));

    [Fact]
    public void Total_DeviceOfTheTests_HasGigabytes()
    {
        Assert.SkipUnless(TestDevice.Current.type == DeviceType.CUDA, "TRACEDISTILL_TEST_DEVICE names no CUDA device");
        Assert.InRange(CudaMemory.Total(TestDevice.Current) ?? 0, 1L << 30, 1L << 42);
    }
}
