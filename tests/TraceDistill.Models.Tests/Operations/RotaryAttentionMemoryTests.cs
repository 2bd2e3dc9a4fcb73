using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

/// <summary>Counts what the whole process holds, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(RotaryAttentionMemoryTests), DisableParallelization = true)]
[Collection(nameof(RotaryAttentionMemoryTests))]
public class RotaryAttentionMemoryTests
{
    static readonly ModelConfiguration TwoHeads = RotaryAttentionTests.OneHead with { AttentionSoftCap = null },
        OneHead = TwoHeads with { NumAttentionHeads = 1 };

    /// <summary>
    /// On a GPU, whose memory cannot be measured from here, as many as make a matrix of scores
    /// larger than it: that of a head would take 256 gigabytes, and its softmax as much again.
    /// </summary>
    static int Tokens => TestDevice.Current.type == DeviceType.CPU ? 1 << 15 : 1 << 18;

    /// <summary>Every query sees all keys before it: the kernels on the CPU, libtorch's attention elsewhere and in float64.</summary>
    [Fact]
    public void Apply_32kTokensWithoutAWindow_TakesMemoryThatGrowsWithTheirNumberAlone() =>
        Check(OneHead, null, ScalarType.Float32, Tokens, TestDevice.Current, 256L << 20); // a matrix of scores takes four gigabytes

    /// <summary>Where float64 is not a CPU's, libtorch has no attention for it that spares the matrix.</summary>
    [Fact]
    public void Apply_16kTokensInFloat64OnTheCpu_TakesMemoryThatGrowsWithTheirNumberAlone() =>
        Check(OneHead, null, ScalarType.Float64, 1 << 14, CPU, 256L << 20); // a matrix of scores takes two gigabytes

    /// <summary>A matrix of scores would take four gigabytes for a head; some tensors of a chunk's take 64 to 128 megabytes each.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 512, false)]
    [InlineData(ScalarType.Float64, 512, false)]
    [InlineData(ScalarType.Float32, 4_096, true)]
    public void Apply_32kTokens_TakesMemoryThatGrowsWithTheirNumberAlone(ScalarType dtype, int window, bool hasCap) =>
        Check(hasCap ? RotaryAttentionTests.OneHead : TwoHeads, window, dtype, Tokens, TestDevice.Current, 1L << 30);

    /// <param name="most">Bytes that a pass and its gradient may take on the CPU.</param>
    static void Check(ModelConfiguration shape, int? window, ScalarType dtype, int tokens, Device device, long most)
    {
        using var scope = NewDisposeScope();
        using var attention = new RotaryAttention(shape, new LayerAttention(window));
        var batch = new TokenBatch(new int[tokens], [tokens]);
        var width = (shape.NumAttentionHeads + 2) * shape.HeadDim;
        var values = randn([tokens, width], dtype: dtype, generator: new Generator(1)).to(device).requires_grad_(true);
        var before = ProcessMemory.Resident();
        using var peak = new PeakMemory();

        attention.Apply(values + 0.0, batch, batch.Starts).sum().backward();
        CustomGradient.Finish();

        Assert.True(values.grad!.isfinite().all().item<bool>());
        if (device.type == DeviceType.CPU)
        {
            Assert.InRange(peak.Bytes - before, 0, most);
        }
    }
}
