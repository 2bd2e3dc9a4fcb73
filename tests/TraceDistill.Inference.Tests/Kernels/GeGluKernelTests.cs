using TraceDistill.Inference.Kernels;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Inference.Tests.Kernels;

[Trait("Category", "Numeric")]
public class GeGluKernelTests
{
    [Theory]
    [InlineData(5)]
    [InlineData(16)]
    [InlineData(37)]
    public void Forward_AnyWidth_IsItsFormulaInFloat64AndLeavesUp(int width)
    {
        var random = new Random(width);
        float[] both = [.. Enumerable.Range(0, 2 * width).Select(_ => (float)((12 * random.NextDouble()) - 6))],
            result = [.. both];

        GeGluKernel.Forward(result);

        Assert.Equal(both[width..], result[width..]);
        Assert.All(Enumerable.Range(0, width), i =>
        {
            double x = both[i],
                up = both[width + i];
            var expected = 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))) * up;
            Assert.Equal(expected, result[i], (4e-7 + Rounding.Of(12)) * Math.Abs(x * up)); // tanh is off by 4e-7
        });
    }
}
