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
            var leaf = x.clone().requires_grad_(true);
            var gradient = ones(outputs, inputs);
            var matrix = new LinearMatrix(new Weight(w, stored is null ? gradient : null));
            Tensor? result = null;
            new Cores(cores).Run(() =>
            {
                result = matrix.Apply(leaf, residual);
                result.backward([slopes]);
                CustomGradient.Finish();
            });
            if (stored is not null)
            {
                new LinearMatrix(new Weight(w, gradient)).Accumulate(slopes, x);
            }

            return (result!.detach(), leaf.grad!, gradient);
        }

        static int Difference(Tensor a, Tensor b) => a.ne(b).sum().item<long>() is var count ? (int)count : 0;
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
