using TraceDistill.Models.Tensors;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Tensors;

[Trait("Category", "Numeric")]
public sealed class FloatBufferTests
{
    /// <summary>What TorchSharp shows of a tensor ends at 2 GiB, so that larger ones are read in pieces.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(20)]
    [InlineData(64)]
    public void Read_InPiecesOfAnySize_GivesEveryElement(int most)
    {
        // All are numbers of bfloat16 too.
        float[] stored = [.. Enumerable.Range(0, 30).Select(i => i - 12f)];
        using var plain = new FloatBuffer(stored.Length);
        stored.CopyTo(plain.Span);
        using var narrow = plain.CopyAs(ScalarType.BFloat16);
        using var moved = narrow.CopyTo(TestDevice.Current);
        foreach (var buffer in new[] { plain, narrow, moved })
        {
            var values = new float[20];

            buffer.Read(3, values, most);

            Assert.Equal(stored[3..23], values);
        }
    }
}
