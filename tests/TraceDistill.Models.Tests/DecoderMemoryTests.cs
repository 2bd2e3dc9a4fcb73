using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

/// <summary>Counts the tensors of the whole process, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(DecoderMemoryTests), DisableParallelization = true)]
[Collection(nameof(DecoderMemoryTests))]
public class DecoderMemoryTests
{
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void ForwardBackward_EveryFamily_LeavesNoTensorBehind(string shape)
    {
        using var parameters = DecoderShapes.Parameters(shape, seed: 5);
        using var gradient = new FloatBuffer(parameters.Count);
        using Decoder kernels = new(TrainedWeights.All(parameters), gradient),
            plain = new(TrainedWeights.All(parameters), gradient, activations: ScalarType.Float64);
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
            var hidden = decoder.Forward(DecoderShapes.Batch(7, 30), balance: balance);
            hidden.backward([ones_like(hidden)]);
            CustomGradient.Finish();
        }
    }

    [Fact]
    public void Forward_NothingAskedFor_KeepsNothing()
    {
        using var parameters = DecoderShapes.Parameters("qwen3", seed: 5);
        using var decoder = new Decoder(TrainedWeights.None(parameters));
        using var captured = new Captured(new Capture());
        Run(); // Where there are no kernels, the first pass makes tables of rotations, which stay.
        ProcessMemory.Collect();
        var before = torch.Tensor.TotalCount;

        Run();

        Assert.Equal(before, torch.Tensor.TotalCount);
        Assert.Empty(captured.HiddenStates);
        Assert.Empty(captured.AttentionMaps);
        Assert.Empty(captured.Values);

        void Run()
        {
            using var scope = NewDisposeScope();
            decoder.Forward(DecoderShapes.Batch(7, 30), captured: captured);
        }
    }
}
