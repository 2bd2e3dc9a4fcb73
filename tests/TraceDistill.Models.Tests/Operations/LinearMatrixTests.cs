using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

[Trait("Category", "Numeric")]
public class LinearMatrixTests
{
    /// <summary>
    /// Products, their gradients and the residual stream, of shapes that are whole, cut by rows, by
    /// columns and by both, and whose last parts are narrower; with idle cores and without, the same bits.
    /// </summary>
    [Theory]
    [InlineData(100, 64, 48, null)]
    [InlineData(2_500, 500, 700, null)]
    [InlineData(130, 9_000, 520, null)]
    [InlineData(1_100, 1_100, 900, null)]
    [InlineData(2_500, 500, 700, ScalarType.BFloat16)]
    [InlineData(300, 2_100, 900, ScalarType.BFloat16)]
    public void Apply_PartsOnIdleCores_IsTheProductInFloat64(int rows, int outputs, int inputs, ScalarType? stored)
    {
        using var scope = NewDisposeScope();
        var random = new Generator(1);
        var (w, x) = (randn([outputs, inputs], generator: random), randn([rows, inputs], generator: random));
        var (residual, slopes) = (randn([rows, outputs], generator: random), randn([rows, outputs], generator: random));
        w = stored is { } dtype ? w.to(dtype) : w;

        var (y, dx, dw) = Run(cores: 1);
        var shared = Run(cores: 3);

        Assert.Equal((0, 0, 0), (Difference(y, shared.Y), Difference(dx, shared.Dx), Difference(dw, shared.Dw)));
        var (exact, input, dy) = (w.to(ScalarType.Float64), x.to(ScalarType.Float64), slopes.to(ScalarType.Float64));
        Rounding.Close(residual.to(ScalarType.Float64) + input.matmul(exact.t()), y, Rounding.Of(inputs + 1) * Math.Sqrt(inputs));
        Rounding.Close(dy.matmul(exact), dx, Rounding.Of(outputs) * Math.Sqrt(outputs));
        Rounding.Close(1 + dy.t().matmul(input), dw, Rounding.Of(rows + 1) * Math.Sqrt(rows));

        (Tensor Y, Tensor Dx, Tensor Dw) Run(int cores)
        {
            var leaf = x.to(TestDevice.Current, copy: true).requires_grad_(true);
            var gradient = ones(outputs, inputs, device: TestDevice.Current);
            var weight = w.to(TestDevice.Current);
            var matrix = new LinearMatrix(new Weight(weight, stored is null ? gradient : null));
            Tensor? result = null;
            new Cores(cores).Each(1, _ =>
            {
                result = matrix.Apply(leaf, residual.to(TestDevice.Current));
                result.backward([slopes.to(TestDevice.Current)]);
                CustomGradient.Finish();
            });
            if (stored is not null)
            {
                _ = new LinearMatrix(new Weight(weight, gradient)).ApplyBack(slopes.to(TestDevice.Current), x.to(TestDevice.Current));
            }

            return (result!.detach().cpu(), leaf.grad!.cpu(), gradient.cpu());
        }

        static int Difference(Tensor a, Tensor b) => a.ne(b).sum().item<long>() is var count ? (int)count : 0;
    }

    /// <summary>
    /// Products in bfloat16 read inputs and matrix as that rounds them, sum in float32 and round once. The rows that
    /// fill up a shape, of which there are 28 to 127 here, count for nothing: nor do those of a longer product before.
    /// </summary>
    [Theory]
    [InlineData(100, 64, 48)]
    [InlineData(1, 300, 200)]
    [InlineData(385, 700, 500)]
    [InlineData(2_500, 500, 700)]
    public void Apply_Rounded_IsTheProductOfRoundedInputsInFloat64(int rows, int outputs, int inputs)
    {
        using var scope = NewDisposeScope();
        var random = new Generator(1);
        var (w, x) = (randn([outputs, inputs], generator: random), randn([rows, inputs], generator: random));
        var (residual, slopes) = (randn([rows, outputs], generator: random), randn([rows, outputs], generator: random));
        var gradient = ones(outputs, inputs);
        var matrix = new LinearMatrix(new Weight(w, gradient), w.to(ScalarType.BFloat16));
        _ = matrix.Apply(full(rows + 200, inputs, 1e3f));
        var leaf = x.clone().requires_grad_(true);

        var y = matrix.Apply(leaf, residual);
        y.backward([slopes]);
        CustomGradient.Finish();

        var (exact, input, dy) = (Rounded(w), Rounded(x), Rounded(slopes));
        Assert.Equal([rows, outputs], y.shape);
        Assert.Equal(ScalarType.Float32, y.dtype);
        Close(input, exact.t(), residual.to(ScalarType.Float64), y);
        Close(dy, exact, zeros(1, dtype: ScalarType.Float64), leaf.grad!);
        Close(dy.t(), input, ones(1, dtype: ScalarType.Float64), gradient);

        // The output projection: logits by the matrix as it is, and back as the layers go.
        var summed = ones(outputs, inputs);
        var head = new LinearMatrix(new Weight(w, summed), w.to(ScalarType.BFloat16));
        Rounding.Close(
            x.to(ScalarType.Float64).matmul(w.to(ScalarType.Float64).t()),
            head.ApplyStored(x),
            Rounding.Of(inputs) * Math.Sqrt(inputs)
        );
        Close(dy, exact, zeros(1, dtype: ScalarType.Float64), head.ApplyBack(slopes, x));
        Close(dy.t(), input, ones(1, dtype: ScalarType.Float64), summed);

        static Tensor Rounded(Tensor values) => values.to(ScalarType.BFloat16).to(ScalarType.Float64);

        // Each number of the product to half a unit of its eighth binary digit; sums of its terms, and with what is added, in float32.
        static void Close(Tensor a, Tensor b, Tensor added, Tensor actual)
        {
            var (product, rounding) = (a.matmul(b), Rounding.Of(a.shape[1] + 2) * (a.abs().matmul(b.abs()) + added.abs()));
            var error = (actual.to(ScalarType.Float64) - product - added).abs();
            Assert.InRange((error / (Math.Pow(2, -8) * product.abs() + 2 * rounding)).max().item<double>(), 0, 1);
        }
    }

    [Theory]
    [InlineData(512, 512, 512, 512, 512)] // one part's worth
    [InlineData(4_096, 512, 512, 1_024, 512)]
    [InlineData(128, 50_304, 768, 128, 2_816)]
    [InlineData(50_304, 768, 128, 2_816, 768)]
    [InlineData(1_024, 3_072, 768, 512, 640)]
    [InlineData(0, 512, 512, 0, 512)]
    public void PartOf_Shapes_HaveAboutOneSize(long rows, long columns, long inner, long partRows, long partColumns) =>
        Assert.Equal((partRows, partColumns), LinearMatrix.PartOf(rows, columns, inner));
}
