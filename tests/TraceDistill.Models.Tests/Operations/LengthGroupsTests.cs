using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

public class LengthGroupsTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 10,
        HiddenSize = 32,
        IntermediateSize = 16,
        NumHiddenLayers = 1,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 8,
        MaxPositionEmbeddings = 256,
    };

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(300)]
    public void Cut_SequencesOfManyLengths_HoldsEachOnceAndFillsEveryGroup(int count)
    {
        var random = new Random(count);
        int[] lengths = [.. Enumerable.Range(0, count).Select(_ => random.Next(1, 400))];

        var groups = LengthGroups.Cut(lengths);

        Assert.Equal(Enumerable.Range(0, count), groups.SelectMany(group => group).Order());
        Assert.All(groups, group =>
        {
            Assert.Equal(lengths[group[0]], group.Max(sequence => lengths[sequence]));
            Assert.True(group.Sum(sequence => (double)lengths[sequence]) >= 0.97 * group.Count * lengths[group[0]]);
        });
    }

    [Fact]
    public void Cut_SequencesOfOneLength_AreOneGroup() => Assert.Equal([0, 1, 2, 3], Assert.Single(LengthGroups.Cut([50, 50, 50, 50])));

    /// <summary>Groups of several, a group of one, and filling in between: no sequence sees another or what fills up.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void Apply_SequencesOfManyLengths_EqualsEachOneAloneAndItsGradient()
    {
        using var scope = NewDisposeScope();
        using var attention = new RotaryAttention(Shape, new LayerAttention(null));
        int[] lengths = [100, 3, 60, 98, 5, 59, 60, 1, 99];
        var tokens = lengths.Sum();
        var (values, slopes) = (
            randn([tokens, 64], ScalarType.Float64, generator: new Generator(1)),
            randn([tokens, 32], ScalarType.Float64, generator: new Generator(2))
        );

        var (together, gradient) = Run(values, slopes, lengths);

        var first = 0;
        foreach (var length in lengths)
        {
            var (alone, ownGradient) = Run(values.narrow(0, first, length), slopes.narrow(0, first, length), [length]);
            Rounding.Close(alone, together.narrow(0, first, length), 1e-13);
            Rounding.Close(ownGradient, gradient.narrow(0, first, length), 1e-13);
            first += length;
        }

        (Tensor Output, Tensor Gradient) Run(Tensor x, Tensor dy, int[] lengthsOf)
        {
            var batch = new TokenBatch(new int[x.shape[0]], lengthsOf);
            var leaf = x.to(TestDevice.Current, copy: true).requires_grad_(true);
            var output = attention.Apply(leaf + 0.0, batch, batch.Starts);
            output.backward([dy.to(TestDevice.Current)]);
            CustomGradient.Finish();
            return (output.cpu(), leaf.grad!.cpu());
        }
    }
}
