using TraceDistill.Models.Cpu;
using Xunit;

namespace TraceDistill.Models.Tests.Cpu;

[Trait("Category", "Numeric")]
public unsafe class ConvolutionKernelTests
{
    /// <summary>A token at a time as a whole sequence, up to as many channels as a model may have: more than a stack has room
    /// for.</summary>
    [Theory]
    [InlineData(1, 2)]
    [InlineData(33, 4)]
    [InlineData(1_025, 3)]
    [InlineData(1 << 20, 2)]
    public void Step_TokenByToken_GivesTheRowsOfTheWholeSequence(int d, int k)
    {
        const int Tokens = 6;
        var random = new Random(2);
        float[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        float[] x = Draw(Tokens * d),
            taps = Draw(k * d),
            expected = new float[x.Length],
            tail = new float[(k - 1) * d];
        fixed (
            float* input = x,
                weights = taps,
                output = expected
        )
        {
            ConvolutionKernel.Forward(input, weights, output, [Tokens], d, k);
        }

        for (var t = 0; t < Tokens; t++)
        {
            ConvolutionKernel.Step(x.AsSpan(t * d, d), taps, tail);
        }

        Assert.Equal(expected, x);
    }
}
