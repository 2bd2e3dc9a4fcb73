using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Weights;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Models;

/// <summary>Counts the tensors of the whole process, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(DecoderMemoryTests), DisableParallelization = true)]
[Collection(nameof(DecoderMemoryTests))]
public class DecoderMemoryTests
{
    [Theory]
    [MemberData(nameof(DecoderTests.Shapes), MemberType = typeof(DecoderTests))]
    public void ForwardBackward_EveryFamily_LeavesNoTensorBehind(string shape)
    {
        using var parameters = DecoderTests.Parameters(shape, seed: 5);
        using var gradient = new FloatBuffer(parameters.Count);
        using Decoder kernels = new(TrainedWeights.All(parameters), gradient), plain = new(TrainedWeights.All(parameters), gradient, activations: ScalarType.Float64);
        Pass(kernels);
        Pass(plain);
        ProcessMemory.Collect(); // what other tests left to finalizers
        var before = torch.Tensor.TotalCount;

        Pass(kernels);
        Pass(plain);

        Assert.Equal(before, torch.Tensor.TotalCount);

        void Pass(Decoder decoder)
        {
            using var scope = NewDisposeScope();
            var balance = RouterBalance.Of(parameters.Configuration, 37);
            var hidden = decoder.Forward(DecoderTests.Batch(7, 30), balance: balance);
            hidden.backward([ones_like(hidden)]);
            CustomGradient.Finish();
        }
    }

    [Fact]
    public void Forward_NothingAskedFor_KeepsNothing()
    {
        using var parameters = DecoderTests.Parameters("qwen3", seed: 5);
        using var decoder = new Decoder(TrainedWeights.None(parameters));
        using var captured = new Captured(new Capture());
        ProcessMemory.Collect();
        var before = torch.Tensor.TotalCount;

        using (NewDisposeScope())
        {
            decoder.Forward(DecoderTests.Batch(7, 30), captured: captured);
        }

        Assert.Equal(before, torch.Tensor.TotalCount);
        Assert.Empty(captured.HiddenStates);
        Assert.Empty(captured.AttentionMaps);
        Assert.Empty(captured.Values);
    }
}
