using TorchSharp;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

[Trait("Category", "Numeric")]
public class MinGruTests
{
    /// <summary>Whole vectors and what is left over of any width, below and above 0 and far from it.</summary>
    const int Channels = 37;

    static readonly int[] Lengths = [1, 2, 40, 7, 300];

    static readonly int Tokens = Lengths.Sum();

    [Theory]
    [InlineData(1)]
    [InlineData(30)]
    public void Apply_SeveralSequences_EqualsALoopOverTheTokensOfEach(double scale)
    {
        using var scope = NewDisposeScope();
        var gates = randn([Tokens, 2 * Channels], generator: new Generator(1)).mul(scale);

        var (kernel, plain) = (Run(gates), Run(gates.to(ScalarType.Float64)));

        var expected = Loop(Values(gates), Channels, Lengths);
        Rounding.Close(expected, plain, 1e-13);
        // A token's gate and candidate are off by 3e-7 by the exponential (SimdMath.Exp), and states by as much again of each token.
        Rounding.Close(expected, kernel, 4e-6);

        Tensor Run(Tensor x) => MinGru.Apply(x.to(TestDevice.Current), RowsOf(x.dtype));
    }

    /// <summary>No candidate is so near to 0 that a step crosses it, where g has two slopes.</summary>
    [Fact]
    public void Backward_AnyDirection_HasTheSlopeOfCentralDifferences()
    {
        using var scope = NewDisposeScope();
        var values = randn([Tokens, 2 * Channels], dtype: ScalarType.Float64, generator: new Generator(1));
        var gates = values + values.sign() * 0.1;
        var slopes = randn([Tokens, Channels], dtype: ScalarType.Float64, generator: new Generator(2));
        var (plain, kernel) = (Gradient(ScalarType.Float64), Gradient(ScalarType.Float32));

        for (ulong repeat = 3; repeat < 13; repeat++)
        {
            const double Step = 1e-5;
            var direction = randn([Tokens, 2 * Channels], dtype: ScalarType.Float64, generator: new Generator(repeat));
            var expected = (Output(gates + direction * Step) - Output(gates - direction * Step)) / (2 * Step);
            var size = (plain * direction).norm().item<double>();
            // The third derivative is of the size of the first, and so is its error; that of the float64 sums is smaller.
            Assert.InRange((plain * direction).sum().item<double>() - expected, -1e-8 * size, 1e-8 * size);
            Assert.InRange((kernel * direction).sum().item<double>() - expected, -1e-5 * size, 1e-5 * size);
        }

        double Output(Tensor x) => (Loop(Values(x), Channels, Lengths) * slopes).sum().item<double>();

        Tensor Gradient(ScalarType dtype)
        {
            var leaf = gates.to(dtype).to(TestDevice.Current, copy: true).requires_grad_(true);
            MinGru.Apply(leaf, RowsOf(dtype)).backward([slopes.to(dtype, TestDevice.Current)]);
            CustomGradient.Finish();
            return leaf.grad!.to(ScalarType.Float64, CPU);
        }
    }

    /// <summary>
    /// Gates that are shut or open keep or take a state to the last bit, over thousands of tokens, and so do their slopes.
    /// </summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Apply_GatesShutOrOpen_KeepsOrTakesAll(ScalarType dtype)
    {
        const int Length = 5_000;
        using var scope = NewDisposeScope();
        // Open at the first token, then shut; the other channel is always open.
        var gates = cat([full([Length, 1], -1e4f), full([Length, 1], 1e4f), full([Length, 2], 1.5f)], 1).to(dtype);
        gates[0, 0] = 1e4f;
        var leaf = gates.to(TestDevice.Current, copy: true).requires_grad_(true);

        var states = MinGru.Apply(leaf, RowsOf(dtype, Length));
        states.narrow(0, Length - 1, 1).sum().backward();
        CustomGradient.Finish();

        Assert.Equal(2, states.min().to(ScalarType.Float64).item<double>());
        Assert.Equal(2, states.max().to(ScalarType.Float64).item<double>());
        var slopes = leaf.grad!.to(ScalarType.Float64, CPU);
        Assert.Equal(1, slopes[0, 2].item<double>());
        Assert.Equal(1, slopes[Length - 1, 3].item<double>());
        Assert.Equal(2, slopes.abs().sum().item<double>());
    }

    /// <summary>States of 16 bits would stand still: an eighth bit of 1 is 2⁻⁸.</summary>
    [Fact]
    public void Apply_InBFloat16_SumsInFloat32()
    {
        using var scope = NewDisposeScope();
        var gates = cat([full([2_000, 1], -7f), full([2_000, 1], 0.5f)], 1).to(ScalarType.BFloat16);

        var states = MinGru.Apply(gates.to(TestDevice.Current), RowsOf(ScalarType.Float32, 2_000));

        Assert.Equal(ScalarType.Float32, states.dtype);
        Rounding.Close(Loop(Values(gates), 1, [2_000]), states, Rounding.Of(4_000));
    }

    static SequenceRows RowsOf(ScalarType dtype, params int[] lengths) =>
        new(lengths.Length == 0 ? Lengths : lengths, kernel: 1, dtype, TestDevice.Current);

    static double[] Values(Tensor gates) => [.. gates.to(ScalarType.Float64).contiguous().data<double>()];

    /// <summary>Section 3.1 of arXiv 2410.01201 and g of its appendix B, token after token.</summary>
    static Tensor Loop(double[] gates, int channels, int[] lengths)
    {
        var states = new double[gates.Length / 2];
        var row = 0;
        foreach (var length in lengths)
        {
            for (var t = 0; t < length; t++, row++)
            {
                for (var i = 0; i < channels; i++)
                {
                    var (k, c) = (gates[(2 * row * channels) + i], gates[((2 * row) + 1) * channels + i]);
                    var former = t == 0 ? 0 : states[((row - 1) * channels) + i];
                    var z = Sigmoid(k);
                    states[(row * channels) + i] = (1 - z) * former + z * (c >= 0 ? c + 0.5 : Sigmoid(c));
                }
            }
        }

        return tensor(states).reshape(row, channels);
    }

    static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
}
