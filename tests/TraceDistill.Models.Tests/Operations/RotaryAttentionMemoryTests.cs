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
    /// <summary>Every query sees all keys before it: the kernels on the CPU, libtorch's attention elsewhere and in float64.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 1 << 15)]
    [InlineData(ScalarType.Float64, 1 << 14)]
    public void Apply_32kTokensWithoutAWindow_TakesMemoryThatGrowsWithTheirNumberAlone(ScalarType dtype, int tokens)
    {
        // Where float64 is not a CPU's, libtorch has no attention for it that spares the matrix.
        var device = dtype == ScalarType.Float32 ? TestDevice.Current : CPU;
        var shape = RotaryAttentionTests.OneHead with { NumAttentionHeads = 1, AttentionSoftCap = null };
        using var scope = NewDisposeScope();
        using var attention = new RotaryAttention(shape, new LayerAttention(null));
        var batch = new TokenBatch(new int[tokens], [tokens]);
        var values = randn([tokens, 48], dtype: dtype, generator: new Generator(1)).to(device).requires_grad_(true);
        var before = ProcessMemory.Resident();
        using var peak = new PeakMemory();

        attention.Apply(values + 0.0, batch, batch.Starts).sum().backward();
        CustomGradient.Finish();

        Assert.True(values.grad!.isfinite().all().item<bool>());
        Assert.InRange(peak.Bytes - before, 0, 256L << 20); // a matrix of scores would take two or four gigabytes
    }

    /// <summary>32,768 tokens: a matrix of scores would take four gigabytes for a head.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 512, false)]
    [InlineData(ScalarType.Float64, 512, false)]
    [InlineData(ScalarType.Float32, 4_096, true)]
    public void Apply_32kTokens_TakesMemoryThatGrowsWithTheirNumberAlone(ScalarType dtype, int window, bool hasCap)
    {
        const int Tokens = 1 << 15;
        using var scope = NewDisposeScope();
        using var attention = new RotaryAttention(
            hasCap ? RotaryAttentionTests.OneHead : RotaryAttentionTests.OneHead with { AttentionSoftCap = null },
            new LayerAttention(window)
        );
        var batch = new TokenBatch(new int[Tokens], [Tokens]);
        var values = randn([Tokens, 64], dtype: dtype, generator: new Generator(1)).requires_grad_(true);
        var before = ProcessMemory.Resident();
        using var peak = new PeakMemory();

        attention.Apply(values + 0.0, batch, batch.Starts).sum().backward();
        CustomGradient.Finish();

        Assert.True(values.grad!.isfinite().all().item<bool>());
        Assert.InRange(peak.Bytes - before, 0, 1L << 30); // some tensors of a chunk's 64 to 128 megabytes of scores
    }
}
