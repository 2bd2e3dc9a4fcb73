using TorchSharp;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;
using TraceDistill.Training.Tests.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Kernels;

[Trait("Category", "Numeric")]
public class ProjectionTests
{
    const string Name = "model.layers.0.mlp.gate_proj.weight";
    const int Rows = 90, Padded = 128, Columns = 48, Inner = 32;

    [Fact]
    public void BFloat16_InputsRoundedByHand_GivesTheProductsOfThoseInFloat64()
    {
        using var scope = NewDisposeScope();
        using var parameters = SampleSequences.Parameters();
        var (y, dx, dw) = Run(parameters, beyond: 0);

        var (x, dy, w) = (Rounded(Sample(1, Inner)), Rounded(Sample(2, Columns)), Rounded(tensor(parameters.Values(Name).ToArray(), parameters.ShapeOf(Name))));
        Assert.InRange(Distance(x.matmul(w.t()), y), 1e-5, 4e-3);
        Assert.InRange(Distance(dy.matmul(w), dx), 1e-5, 4e-3);
        Assert.InRange(Distance(dy.t().matmul(x), dw), 1e-5, 4e-3);
    }

    [Fact]
    public void BFloat16_RowsPaddedWithWhateverTheMemoryHeld_ChangeNoBit()
    {
        using var scope = NewDisposeScope();
        using var parameters = SampleSequences.Parameters();
        var (y, dx, dw) = Run(parameters, beyond: 0);
        var (otherY, otherDx, otherDw) = Run(parameters, beyond: 1e6f);

        Assert.Equal(y, otherY);
        Assert.Equal(dx, otherDx);
        Assert.Equal(dw, otherDw);
    }

    /// <summary>Matrices that are bfloat16 in memory are multiplied as they are.</summary>
    [Fact]
    public void BFloat16_FrozenMatrices_GiveTheBitsOfRoundedOnes()
    {
        using var folder = new TemporaryDirectory();
        using var parameters = SampleSequences.Parameters();
        ModelDirectory.Save(folder.Path, parameters, TensorDtype.BFloat16);
        using var frozen = ModelDirectory.LoadFrozen(folder.Path);

        var (y, dx, _) = Run(parameters, beyond: 0);
        var (frozenY, frozenDx, none) = Run(frozen, beyond: 0);

        Assert.Equal(y, frozenY);
        Assert.Equal(dx, frozenDx);
        Assert.Empty(none);
    }

    /// <summary>Forward and backward over 90 rows; the 38 that fill them up to 128 hold <paramref name="beyond"/> before each pass.</summary>
    static (float[] Y, float[] Dx, float[] Dw) Run(IDecoderWeights parameters, float beyond)
    {
        using var projection = new Projection(parameters, ComputeDtype.BFloat16);
        var trained = parameters is ModelParameters all ? TrainedWeights.All(all) : TrainedWeights.None(parameters);
        using FloatBuffer x = Filled(1, Inner, beyond), y = new(Padded * Columns), dy = Filled(2, Columns, beyond), dx = new(Padded * Inner), gradient = new(trained.Count);
        var gate = new FusedLinear("model.layers.0.mlp.", Inner, [("gate_proj", Columns)], trained);
        projection.Forward(x, gate, y, Rows);
        projection.Backward(dy, x, gate, dx, gradient, Rows);
        return (y.Span[..(Rows * Columns)].ToArray(), dx.Span[..(Rows * Inner)].ToArray(), trained.OffsetOf(Name) is { } offset ? gradient.Span.Slice((int)offset, Columns * Inner).ToArray() : []);
    }

    static FloatBuffer Filled(int seed, int width, float beyond)
    {
        var buffer = new FloatBuffer(Padded * width);
        buffer.Span.Fill(beyond);
        Sample(seed, width).data<float>().ToArray().CopyTo(buffer.Span);
        return buffer;
    }

    static Tensor Sample(int seed, int width) => randn([Rows, width], generator: new Generator((ulong)seed));

    static Tensor Rounded(Tensor x) => x.to(ScalarType.BFloat16).to(ScalarType.Float64);

    static double Distance(Tensor expected, float[] actual) =>
        ((tensor(actual, expected.shape).to(ScalarType.Float64) - expected).norm() / expected.norm()).item<double>();
}
