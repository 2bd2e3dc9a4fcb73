using System.Numerics;
using TraceDistill.Models.Cpu;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Models.Tests.Cpu;

[Trait("Category", "Numeric")]
public unsafe class SimdMathTests
{
    [Fact]
    public void ExpShifted_WholeRange_IsWithinItsBoundAndSumsUp()
    {
        float[] x = [.. Enumerable.Range(0, 8_011).Select(i => -86.5f + (i * 0.0212f))];
        var (values, shift) = ((float[])x.Clone(), 0.25f);
        float sum;
        fixed (float* pointer = values)
        {
            sum = SimdMath.ExpShifted(pointer, values.Length, shift);
        }

        // x − shift is rounded first, which moves eˣ by the error of x.
        Assert.All(x.Zip(values), pair =>
            Assert.Equal(1, pair.Second / Math.Exp(pair.First - shift), 3e-7 + (Rounding.Unit * Math.Abs(pair.First - shift)))
        );
        Assert.Equal(1, sum / values.Sum(value => (double)value), Rounding.Of(values.Length));
    }

    [Theory]
    [InlineData(-87.5f, 0f)]
    [InlineData(-3e38f, 0f)]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(0f, 1f)]
    [InlineData(float.NaN, float.NaN)]
    public void Exp_OfNoUsualNumber_IsItsLimit(float x, float expected) => Assert.Equal(expected, SimdMath.Exp(Vector.Create(x))[0]);

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(37)]
    public void DotAndScale_AnyLength_AreThoseOfFloat64(int count)
    {
        var random = new Random(count);
        float[] a = Numbers(random, count),
            b = Numbers(random, count),
            scaled = new float[count];
        double[] products = [.. a.Zip(b, (x, y) => (double)x * y)];
        fixed (
            float* first = a,
                second = b,
                destination = scaled
        )
        {
            Assert.Equal(products.Sum(), SimdMath.Dot(first, second, count), Rounding.Of(count) * products.Sum(Math.Abs));
            SimdMath.Scale(first, 0.3f, destination, count);
        }

        Assert.Equal(a.Select(value => value * 0.3f), scaled);
    }

    static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
}
