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
            var batch = DecoderShapes.Batch(7, 30);
            var hidden = decoder.Forward(batch, balance: RouterBalance.Of(parameters.Configuration, batch));
            hidden.backward([ones_like(hidden)]);
            CustomGradient.Finish();
        }
    }

    /// <summary>Of what a forward pass keeps for the way back, which is what the process holds until its graph is gone.</summary>
    [Fact]
    public void Forward_GradientCheckpointing_KeepsAQuarterOfTheMemoryAtMost()
    {
        using var parameters = DecoderShapes.Parameters("grouped", seed: 5, layers: 24);
        using var gradient = new FloatBuffer(parameters.Count);
        var batch = DecoderShapes.Batch([.. Enumerable.Repeat(100, 40)]);
        var (with, without) = (Kept(gradientCheckpointing: true), Kept(gradientCheckpointing: false));

        // The inputs of 24 layers are held at least, of [tokens, hidden] each, though a part of them in memory that other tests freed.
        long inputs = 24L * batch.Ids.Length * DecoderShapes.Grouped.HiddenSize * sizeof(float);
        Assert.InRange(without, 4 * inputs, 100 * inputs);
        Assert.InRange(with, long.MinValue, without / 4);

        long Kept(bool gradientCheckpointing)
        {
            using var scope = NewDisposeScope();
            using var decoder = new Decoder(TrainedWeights.All(parameters), gradient, gradientCheckpointing: gradientCheckpointing);
            var before = ProcessMemory.Resident();
            var hidden = decoder.Forward(batch);
            var kept = ProcessMemory.Resident() - before;
            GC.KeepAlive(hidden);
            return kept;
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
