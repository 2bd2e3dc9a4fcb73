using TraceDistill.Training.Generation.Kernels;
using Xunit;

namespace TraceDistill.Training.Tests.Generation;

public unsafe class PackedMatrixTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Multiply_AnyNumberOfRows_EqualsThePlainProductAndIsTheSameInAnyBatch(bool wide)
    {
        const int Inputs = 37, Outputs = 70, Most = 19;
        var random = new Random(5);
        float[] weights = Numbers(random, Outputs * Inputs), x = Numbers(random, Most * Inputs);
        using var matrix = new PackedMatrix(weights, Inputs, wide);
        using var output = new NativeBuffer(Most * matrix.OutputStride);
        var whole = Product(matrix, x, Most, output);

        for (var rows = 1; rows <= Most; rows++)
        {
            Assert.Equal(whole[..(rows * matrix.OutputStride)], Product(matrix, x, rows, output));
        }

        for (var row = 0; row < Most; row++)
        {
            for (var column = 0; column < Outputs; column++)
            {
                var expected = Enumerable.Range(0, Inputs).Sum(i => (double)x[row * Inputs + i] * weights[column * Inputs + i]);
                Assert.Equal(expected, whole[row * matrix.OutputStride + column], 1e-5);
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Multiply_Adding_AddsToWhatIsThere(bool wide)
    {
        using var matrix = new PackedMatrix([1, 2, 3, 4], 2, wide);
        using var output = new NativeBuffer(matrix.OutputStride);
        output.Clear();
        output.Pointer[1] = 10;
        float[] x = [5, 6];
        fixed (float* input = x)
        {
            matrix.Multiply(input, 2, 1, output.Pointer, add: true);
        }

        Assert.Equal([5 * 1 + 6 * 2, 10 + 5 * 3 + 6 * 4, 0], new Span<float>(output.Pointer, 3).ToArray());
    }

    static float[] Product(PackedMatrix matrix, float[] x, int rows, NativeBuffer output)
    {
        fixed (float* input = x)
        {
            matrix.Multiply(input, matrix.Inputs, rows, output.Pointer);
        }

        return new Span<float>(output.Pointer, rows * matrix.OutputStride).ToArray();
    }

    static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
}
