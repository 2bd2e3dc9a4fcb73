using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Inference.Tests;

[Trait("Category", "Numeric")]
public class TensorModelTests
{
    [Theory]
    [InlineData("qwen2", TensorDtype.Float32, DeviceType.CUDA, ScalarType.Float32)]
    [InlineData("qwen2", TensorDtype.BFloat16, DeviceType.CUDA, ScalarType.BFloat16)]
    [InlineData("qwen2", TensorDtype.Float16, DeviceType.CUDA, ScalarType.Float16)]
    [InlineData("gemma2", TensorDtype.Float16, DeviceType.CUDA, ScalarType.Float32)]
    [InlineData("gemma3", TensorDtype.Float16, DeviceType.CUDA, ScalarType.Float32)]
    [InlineData("gemma3", TensorDtype.BFloat16, DeviceType.CUDA, ScalarType.BFloat16)]
    [InlineData("qwen2", TensorDtype.Float16, DeviceType.CPU, ScalarType.Float32)]
    public void ActivationsOf_Checkpoint_AreItsOwn16BitsWhereTheyAreFastAndLargeEnough(
        string shape,
        TensorDtype weights,
        DeviceType device,
        ScalarType expected
    ) => Assert.Equal(expected, TensorModel.ActivationsOf(DecoderShapes.Shape(shape), weights, device));

    /// <summary>A prompt in two passes, of which the second reads keys and values of the first, and a token behind it.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Run_CheckpointInFloat16_IsNearTheReferenceInFloat64(string shape) => Check(shape, TensorDtype.Float16, Math.Pow(2, -11));

    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Run_CheckpointInBFloat16_IsNearTheReferenceInFloat64(string shape) => Check(shape, TensorDtype.BFloat16, Math.Pow(2, -8));

    /// <param name="unit">The most that a rounding is off by.</param>
    static void Check(string shape, TensorDtype dtype, double unit)
    {
        const int Page = 16;
        using var scope = NewDisposeScope();
        using var folder = new TemporaryDirectory();
        using (var written = DecoderShapes.Parameters(shape, seed: 3))
        {
            ModelDirectory.Save(folder.Path, written, dtype);
        }

        using var stored = ModelDirectory.Load(folder.Path);
        using var weights = ModelDirectory.LoadFrozen(folder.Path);
        weights.MoveTo(TestDevice.Current);
        var (configuration, activations) = (stored.Configuration, dtype == TensorDtype.Float16 ? ScalarType.Float16 : ScalarType.BFloat16);
        int[] tokens = [.. TinyModel.Prompt(41, 1).Select(token => token % configuration.VocabSize)],
            own = [2, 0, 3];
        var decoder = new Decoder(TrainedWeights.None(weights), activations: activations);
        using var pages = configuration.Recurrence is null
            ? new KeyValuePages(configuration, 4, Page, activations, TestDevice.Current)
            : null;
        using var states = pages is null ? new RecurrentStates(configuration, 4, activations, TestDevice.Current) : null;
        using var pass = pages is null ? new TensorPass(decoder, states!) : new TensorPass(decoder, pages);

        float[] actual = [.. Logits(0, 25), .. Logits(25, 40), .. Logits(40, 41)];

        double[] expected = [.. new ReferenceDecoder(stored).Logits(tokens).SelectMany(row => row)];
        var error = Math.Sqrt(expected.Zip(actual, (a, b) => (a - b) * (a - b)).Sum() / expected.Sum(a => a * a));
        // Sixteen roundings of a layer, half of whose errors are of either sign.
        Assert.InRange(error, 0, 8 * configuration.NumHiddenLayers * unit);

        float[] Logits(int first, int end)
        {
            pass.Clear();
            int[] rows = [.. Enumerable.Range(first, end - first).Select(position => pass.Add(tokens[position], position, own))];
            pass.Run(rows);
            pass.ComputeLogits(0, rows.Length);
            return [.. rows.SelectMany((_, index) => pass.Logits(index).ToArray())];
        }
    }
}
