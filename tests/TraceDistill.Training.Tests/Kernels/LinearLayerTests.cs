using TorchSharp;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Kernels;

[Trait("Category", "Numeric")]
public class LinearLayerTests
{
    /// <summary>A matrix that is widened in several stretches, the last one shorter, gives the products of the whole in float64.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(56)]
    public void Products_MatrixIn16Bits_AreThoseOfItsValuesInFloat64(int inner)
    {
        const int Rows = 9, Vocabulary = 20_003;
        using var scope = NewDisposeScope();
        using var folder = new TemporaryDirectory();
        var shape = Shape(Vocabulary, inner);
        using (var written = new ModelParameters(shape))
        {
            written.Initialize(3);
            ModelDirectory.Save(folder.Path, written, TensorDtype.BFloat16);
        }

        using var narrow = ModelDirectory.LoadFrozen(folder.Path);
        using var wide = ModelDirectory.Load(folder.Path);
        const string Name = "model.embed_tokens.weight";
        var w = wide.Matrix(wide.Flat, Name).to(ScalarType.Float64);
        using FloatBuffer x = Random(Rows, inner, 1), y = Random(Rows, Vocabulary, 2), dx = new(Rows * inner);
        var (input, before) = (x.Matrix(Rows, inner).to(ScalarType.Float64), y.Matrix(Rows, Vocabulary).to(ScalarType.Float64));

        LinearLayer.Forward(x, 0, narrow, Name, y, Rows, Vocabulary, inner, add: true);
        LinearLayer.InputGradient(y, narrow, Name, dx, 0, Rows, Vocabulary, inner);

        var (slopes, magnitudes) = (y.Matrix(Rows, Vocabulary).to(ScalarType.Float64), input.abs().matmul(w.abs().t()));
        Close(before + input.matmul(w.t()), y.Matrix(Rows, Vocabulary), (before.abs() + magnitudes) * Rounding.Of(inner + 1));
        Close(slopes.matmul(w), dx.Matrix(Rows, inner), slopes.abs().matmul(w.abs()) * Rounding.Of(Vocabulary));
        LinearLayer.Forward(x, 0, narrow, Name, y, Rows, Vocabulary, inner, add: false);
        Close(input.matmul(w.t()), y.Matrix(Rows, Vocabulary), magnitudes * Rounding.Of(inner));
    }

    static ModelConfiguration Shape(int vocabulary, int hidden) => new()
    {
        VocabSize = vocabulary, HiddenSize = hidden, IntermediateSize = 32, NumHiddenLayers = 1, NumAttentionHeads = 1, NumKeyValueHeads = 1, HeadDim = 16,
        MaxPositionEmbeddings = 16, TieWordEmbeddings = true, InitializerRange = 0.3,
    };

    static FloatBuffer Random(int rows, int width, int seed)
    {
        var buffer = new FloatBuffer(rows * width);
        randn([rows * width], generator: new Generator((ulong)seed)).data<float>().ToArray().CopyTo(buffer.Span);
        return buffer;
    }

    /// <param name="bound">Of each element.</param>
    static void Close(Tensor expected, Tensor actual, Tensor bound) =>
        Assert.InRange(((actual.to(ScalarType.Float64) - expected).abs() - bound).max().item<double>(), double.NegativeInfinity, 0);
}
