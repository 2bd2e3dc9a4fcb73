using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Weights;

[Trait("Category", "Numeric")]
public sealed class FrozenParametersTests
{
    /// <summary>A span counts the bytes of 2³⁰ numbers no more, so that a larger matrix is read in pieces.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(1 << 20)]
    public void Read_InPiecesOfAnySize_GivesEveryElement(int most)
    {
        const string Name = "model.layers.1.self_attn.o_proj.weight";
        using var folder = new TemporaryDirectory();
        using var parameters = DecoderShapes.Parameters("grouped", seed: 4);
        // Numbers of bfloat16 are those of float32 with a lower half of zeros.
        float[] stored =
        [
            .. parameters
                .Values(Name)[5..105]
                .ToArray()
                .Select(value => BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(value) & ~0xffff)),
        ];
        stored.CopyTo(parameters.Values(Name)[5..]);
        ModelDirectory.Save(folder.Path, parameters, TensorDtype.BFloat16);
        using var frozen = Assert.IsType<FrozenParameters>(ModelDirectory.LoadFrozen(folder.Path));
        foreach (var device in new[] { CPU, TestDevice.Current })
        {
            frozen.MoveTo(device);
            var values = new float[100];

            frozen.Read(Name, 5, values, most);

            Assert.Equal(stored, values);
        }
    }
}
