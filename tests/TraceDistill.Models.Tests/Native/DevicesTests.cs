using TraceDistill.Data.Options;
using TraceDistill.Models.Native;
using TraceDistill.Text.Errors;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Native;

public class DevicesTests
{
    [Theory]
    [InlineData("auto")]
    [InlineData("cpu")]
    [InlineData("cuda")]
    [InlineData("cuda:0")]
    [InlineData("cuda:11")]
    public void Parse_ADevicesName_IsWrittenAsItWas(string name) => Assert.Equal(name, DeviceChoice.Parse(name, null).ToString());

    [Theory]
    [InlineData("gpu")]
    [InlineData("CUDA")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("cuda:one")]
    [InlineData("cuda:0:1")]
    [InlineData("cpu:0")]
    [InlineData("cuda:99999999999")]
    [InlineData("")]
    public void Parse_AnythingElse_NamesTheChoices(string name)
    {
        var error = Assert.Throws<FormatException>(() => DeviceChoice.Parse(name, null));

        Assert.Contains("auto, cpu, cuda or cuda:N", error.Message);
    }

    [Fact]
    public void Resolve_AutoWithoutAGpu_IsTheCpu() =>
        Assert.True(DeviceChoice.Auto.WhyMissing("cuda", devices: 0) is null && DeviceChoice.Auto.IsCpu(devices: 0));

    [Fact]
    public void Resolve_AutoWithAGpu_IsTheGpu() => Assert.False(DeviceChoice.Auto.IsCpu(devices: 1));

    [Theory]
    [InlineData("cpu", 0, "-p:TorchBackend=cuda")]
    [InlineData("cuda", 0, "nvidia-smi")]
    [InlineData("cuda", 1, "the one CUDA device here is cuda:0")]
    [InlineData("cuda", 2, "cuda:0 to cuda:1")]
    public void WhyMissing_CudaThatIsNotThere_SaysHowToGetIt(string backend, int devices, string advice)
    {
        var missing = DeviceChoice.Parse("cuda:2", null).WhyMissing(backend, devices);

        Assert.StartsWith("device cuda:2: ", missing);
        Assert.Contains(advice, missing);
        Assert.Null(DeviceChoice.Parse("cuda:2", null).WhyMissing("cuda", devices: 3));
    }

    [Fact]
    public void Resolve_DeviceThatIsNotThere_IsBadInput()
    {
        var error = Assert.Throws<InvalidInputException>(() => DeviceChoice.Parse("cuda:1000", null).Resolve());

        Assert.StartsWith("device cuda:1000: ", error.Message);
    }
}
