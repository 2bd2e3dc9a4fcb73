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
        Assert.Equal(CPU.ToString(), Devices.Resolve(DeviceChoice.Auto, "cuda", devices: 0).ToString());

    [Theory]
    [InlineData("cpu", 0, "-p:TorchBackend=cuda")]
    [InlineData("cuda", 0, "nvidia-smi")]
    [InlineData("cuda", 2, "cuda:0 to cuda:1")]
    public void Resolve_CudaThatIsNotThere_SaysHowToGetIt(string backend, int devices, string advice)
    {
        var error = Assert.Throws<InvalidInputException>(() => Devices.Resolve(DeviceChoice.Parse("cuda:2", null), backend, devices));

        Assert.Contains("device cuda:2", error.Message);
        Assert.Contains(advice, error.Message);
    }
}
