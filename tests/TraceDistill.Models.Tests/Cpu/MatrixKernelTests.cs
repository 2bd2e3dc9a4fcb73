using TraceDistill.Models.Cpu;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Models.Tests.Cpu;

[Trait("Category", "Numeric")]
public unsafe class MatrixKernelTests
{
    [Theory]
    [InlineData(1, 16, 5, false)]
    [InlineData(7, 32, 37, true)]
    [InlineData(32, 208, 16, false)]
    [InlineData(70, 16, 32, true)]
    public void Multiply_EitherOrder_IsThatOfFloat64(int m, int n, int k, bool isTransposed)
    {
        n = SimdMath.Pad(n);
        var random = new Random(m);
        float[] a = Numbers(random, m * k),
            b = Numbers(random, k * n),
            before = Numbers(random, m * n),
            c = (float[])before.Clone();
        var (row, column) = isTransposed ? (1, m) : (k, 1);
        fixed (
            float* left = a,
                right = b,
                result = c
        )
        {
            MatrixKernel.Multiply(left, row, column, right, n, result, n, m, n, k, accumulate: true);
        }

        for (var i = 0; i < m; i++)
        {
            for (var j = 0; j < n; j++)
            {
                double[] terms =
                [
                    before[(i * n) + j],
                    .. Enumerable.Range(0, k).Select(p => (double)a[(i * row) + (p * column)] * b[(p * n) + j]),
                ];
                Assert.Equal(terms.Sum(), c[(i * n) + j], Rounding.Of(k + 1) * terms.Sum(Math.Abs));
            }
        }
    }

    static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
}
