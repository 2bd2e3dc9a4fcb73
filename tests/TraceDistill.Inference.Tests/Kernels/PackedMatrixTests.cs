using TraceDistill.Inference.Kernels;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Inference.Tests.Kernels;

[Trait("Category", "Numeric")]
public class PackedMatrixTests
{
    [Theory]
    [InlineData(TensorDtype.Float32, true)]
    [InlineData(TensorDtype.Float32, false)]
    [InlineData(TensorDtype.BFloat16, true)]
    [InlineData(TensorDtype.BFloat16, false)]
    [InlineData(TensorDtype.Float16, true)]
    [InlineData(TensorDtype.Float16, false)]
    public void Multiply_AnyNumberOfRows_EqualsThePlainProductAndIsTheSameInAnyBatch(TensorDtype dtype, bool wide)
    {
        const int Inputs = 37,
            Outputs = 70,
            Most = 19;
        var random = new Random(5);
        float[] weights = Numbers(random, Outputs * Inputs),
            x = Numbers(random, Most * Inputs);
        weights[3] = 3e-6f; // Subnormal in half precision.
        using var matrix = Pack(dtype, weights, Inputs, wide);
        using var output = new NativeBuffer(Most * matrix.OutputStride);
        var whole = Product(matrix, x, Inputs, Most, output);

        for (var rows = 1; rows <= Most; rows++)
        {
            Assert.Equal(whole[..(rows * matrix.OutputStride)], Product(matrix, x, Inputs, rows, output));
        }

        for (var row = 0; row < Most; row++)
        {
            for (var column = 0; column < Outputs; column++)
            {
                double[] products =
                [
                    .. Enumerable.Range(0, Inputs).Select(i => (double)x[row * Inputs + i] * weights[column * Inputs + i]),
                ];
                Assert.Equal(products.Sum(), whole[row * matrix.OutputStride + column], Rounding.Of(Inputs) * products.Sum(Math.Abs));
            }
        }
    }

    [Fact]
    public void Multiply_WithHelpers_GivesTheBitsOfOneThread()
    {
        const int Inputs = 300,
            Outputs = 900,
            Rows = 3;
        var random = new Random(7);
        float[] weights = Numbers(random, Outputs * Inputs),
            x = Numbers(random, Rows * Inputs);
        using var matrix = Pack(TensorDtype.BFloat16, weights, Inputs, wide: false);
        using var output = new NativeBuffer(Rows * matrix.OutputStride);
        var alone = Product(matrix, x, Inputs, Rows, output);

        for (var round = 0; round < 200; round++)
        {
            output.Clear();
            Assert.Equal(alone, Product(matrix, x, Inputs, Rows, output, helpers: 3));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Multiply_Adding_AddsToWhatIsThere(bool wide)
    {
        using var matrix = Pack(TensorDtype.Float32, [1, 2, 3, 4], 2, wide);
        using var output = new NativeBuffer(matrix.OutputStride);
        output.Clear();
        output.Span[1] = 10;
        using var input = new NativeBuffer(2);
        input.Span[0] = 5;
        input.Span[1] = 6;

        matrix.Multiply(input, 2, 1, output, add: true);

        Assert.Equal([5 * 1 + 6 * 2, 10 + 5 * 3 + 6 * 4, 0], output.Span[..3].ToArray());
    }

    [Theory]
    [InlineData(TensorDtype.Float32)]
    [InlineData(TensorDtype.BFloat16)]
    [InlineData(TensorDtype.Float16)]
    public void Unpack_AnyRow_GivesTheWeightsBack(TensorDtype dtype)
    {
        const int Inputs = 5,
            Outputs = 70;
        var weights = Numbers(new Random(6), Outputs * Inputs);
        using var matrix = Pack(dtype, weights, Inputs, wide: false);

        var row = new float[Inputs];
        for (var output = 0; output < Outputs; output++)
        {
            matrix.Unpack(output, row);
            Assert.Equal(weights[(output * Inputs)..((output + 1) * Inputs)], row);
        }
    }

    /// <summary>Packs in two pieces; <paramref name="weights"/> become what the type can hold of them.</summary>
    static PackedMatrix Pack(TensorDtype dtype, float[] weights, int inputs, bool wide)
    {
        var matrix = new PackedMatrix(dtype, weights.Length / inputs, inputs, wide);
        var bytes = new byte[weights.Length * dtype.Size()];
        dtype.Encode(weights, bytes);
        dtype.Decode(bytes, weights);
        matrix.Pack(0, bytes.AsSpan(0, inputs * dtype.Size()));
        matrix.Pack(1, bytes.AsSpan(inputs * dtype.Size()));
        return matrix;
    }

    static float[] Product(PackedMatrix matrix, float[] x, int inputs, int rows, NativeBuffer output, int helpers = 0)
    {
        using var input = new NativeBuffer(x.Length);
        x.CopyTo(input.Span);
        matrix.Multiply(input, inputs, rows, output, helpers: helpers);
        return output.Span[..(rows * matrix.OutputStride)].ToArray();
    }

    static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
}
