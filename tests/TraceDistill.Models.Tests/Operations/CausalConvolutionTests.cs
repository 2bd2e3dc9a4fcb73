using TorchSharp;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

[Trait("Category", "Numeric")]
public class CausalConvolutionTests
{
    const int Channels = 37;

    /// <summary>Sequences shorter and longer than what a token sees.</summary>
    static readonly int[] Lengths = [1, 3, 2, 50, 4];

    static readonly int Tokens = Lengths.Sum();

    [Theory]
    [InlineData(2, ScalarType.Float64)]
    [InlineData(4, ScalarType.Float64)]
    [InlineData(7, ScalarType.Float64)]
    [InlineData(2, ScalarType.Float32)]
    [InlineData(4, ScalarType.Float32)]
    [InlineData(7, ScalarType.Float32)]
    public void Apply_SeveralSequences_EqualsLibtorchsConvolutionOfEachAndItsGradient(int kernel, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var (values, taps) = (Random(1, Tokens, Channels), Random(2, Channels, 1, kernel));
        var slopes = Random(3, Tokens, Channels);
        var (x, weight) = (Leaf(values), Leaf(taps));

        var actual = CausalConvolution.Apply(x, weight, new SequenceRows(Lengths, kernel, dtype, TestDevice.Current));
        actual.backward([slopes.to(dtype, TestDevice.Current)]);
        CustomGradient.Finish();

        var (input, reference) = (values.requires_grad_(true), taps.requires_grad_(true));
        var (expected, first) = (new List<Tensor>(), 0L);
        foreach (var length in Lengths)
        {
            var own = input.narrow(0, first, length);
            var padded = cat([zeros(kernel - 1, Channels, dtype: ScalarType.Float64), own], 0).t().unsqueeze(0);
            expected.Add(own + nn.functional.conv1d(padded, reference, groups: Channels).squeeze(0).t());
            first += length;
        }

        var all = cat([.. expected], 0);
        all.backward([slopes]);
        var tolerance = dtype == ScalarType.Float64 ? 1e-13 : Rounding.Of(2 * Tokens);
        Rounding.Close(all, actual, tolerance);
        Rounding.Close(input.grad!, x.grad!, tolerance);
        Rounding.Close(reference.grad!, weight.grad!, tolerance);

        Tensor Leaf(Tensor source) => source.to(dtype).to(TestDevice.Current, copy: true).requires_grad_(true);

        static Tensor Random(ulong seed, params long[] shape) => randn(shape, dtype: ScalarType.Float64, generator: new Generator(seed));
    }
}
