using TraceDistill.Data.Pictures;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

[Trait("Category", "Numeric")]
public class PictureEncoderTests
{
    static readonly PictureEncoderSettings Colour = ReferencePictures.Shape with { Channels = 3, NumHiddenLayers = 1 };
    static readonly PictureEncoderSettings Flat = ReferencePictures.Shape with { NumHiddenLayers = 0 };

    public static TheoryData<string> Shapes => ["gray", "colour", "without layers"];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_InFloat64_EqualsThePlainFormula(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters("grouped", ShapeOf(shape));
        var weights = Weights(parameters);
        var encoder = new PictureEncoder(ShapeOf(shape), name => weights[name], ScalarType.Float64);
        Picture[] pictures = [ReferencePictures.Random(1, ShapeOf(shape)), ReferencePictures.Random(2, ShapeOf(shape))];

        var vectors = encoder.Forward(pictures, CPU).data<double>().ToArray();

        var reference = new ReferencePictures(parameters);
        double[] expected = [.. pictures.SelectMany(reference.Vectors).SelectMany(vector => vector)];
        Assert.Equal(expected.Length, vectors.Length);
        // Pixels are scaled in float32, whose last bit some hundred products carry on.
        Assert.All(expected.Zip(vectors), pair => Assert.Equal(pair.First, pair.Second, 2e-6));
    }

    /// <summary>
    /// The rest of the decoder is held against the reference elsewhere: here its embedding has a row for each vector of the picture.
    /// </summary>
    [Theory]
    [InlineData("grouped")]
    [InlineData("gemma2")]
    [InlineData("mingru")]
    public void Decoder_PicturesInPrompts_HasTheStatesOfTheirVectorsAsEmbeddings(string family)
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters(family, ReferencePictures.Shape);
        var (c, patches) = (parameters.Configuration, ReferencePictures.Shape.Patches);
        using var decoder = new Decoder(TrainedWeights.None(parameters));
        Picture[] pictures = [ReferencePictures.Random(1), ReferencePictures.Random(2)];
        int[] places = [.. Enumerable.Repeat(PicturePrompt.Token, patches)];
        int[][] sequences =
        [
            [7, 8, .. places, 9, 10, 11],
            [.. places, 12],
        ];
        var batch = new TokenBatch([.. sequences.SelectMany(ids => ids)], [.. sequences.Select(ids => ids.Length)]) { Pictures = pictures };

        var states = decoder.Forward(batch).data<float>().ToArray().Chunk(c.HiddenSize).ToArray();

        var reference = new ReferencePictures(parameters);
        using var wide = new ModelParameters(c with { VocabSize = c.VocabSize + (2 * patches), Pictures = null });
        foreach (var name in wide.Names)
        {
            parameters.Values(name).CopyTo(wide.Values(name));
        }

        var scale = c.Traits.ScalesEmbedding ? Math.Sqrt(c.HiddenSize) : 1;
        float[] rows = [.. pictures.SelectMany(reference.Vectors).SelectMany(vector => vector).Select(value => (float)(value / scale))];
        rows.CopyTo(wide.Values("model.embed_tokens.weight")[(c.VocabSize * c.HiddenSize)..]);
        var (position, llama) = (0, new ReferenceLlama(wide));
        foreach (var (picture, ids) in sequences.Index())
        {
            var next = c.VocabSize + (picture * patches);
            var expected = llama.Forward([.. ids.Select(id => id == PicturePrompt.Token ? next++ : id)]).data<double>().ToArray();
            foreach (var row in expected.Chunk(c.HiddenSize))
            {
                Assert.All(row.Zip(states[position]), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
                position++;
            }
        }
    }

    /// <summary>Along random directions, one weight at a time.</summary>
    [Fact]
    public void Backward_EveryWeightOfTheEncoder_HasTheSlopesOfCentralDifferences()
    {
        using var scope = NewDisposeScope();
        using var parameters = Parameters("grouped", ReferencePictures.Shape);
        foreach (ref var value in parameters.Flat.Span)
        {
            value = MathF.Round(value * (1 << 16)) / (1 << 16); // so that a step is the same in float32
        }

        using var gradient = new FloatBuffer(parameters.Count);
        using var decoder = new Decoder(TrainedWeights.All(parameters), gradient, activations: ScalarType.Float64);
        int[] ids = [5, .. Enumerable.Repeat(PicturePrompt.Token, ReferencePictures.Shape.Patches), 6, 7];
        var batch = new TokenBatch(ids, [ids.Length]) { Pictures = [ReferencePictures.Random(1)] };
        var slopes = randn([ids.Length, parameters.Configuration.HiddenSize], generator: new Generator(9)).to(ScalarType.Float64);
        decoder.Forward(batch).backward([slopes]);
        CustomGradient.Finish();

        var random = new Random(8);
        foreach (var name in parameters.Names.Where(ModelParameters.IsOfPictures))
        {
            var (start, count) = ((int)parameters.OffsetOf(name), parameters.Values(name).Length);
            float[] signs = [.. Enumerable.Range(0, count).Select(_ => (random.Next(2) * 2) - 1f)];
            const float Step = 1f / (1 << 16);
            var (up, down) = (Output(Step), Output(-Step));
            var expected = (up - down) / (2 * Step);
            var found = signs.Select((sign, i) => (double)sign * gradient.Span[start + i]).Sum();
            var norm = Math.Sqrt(Enumerable.Range(start, count).Sum(i => (double)gradient.Span[i] * gradient.Span[i]));
            // The third derivative's part of a central difference falls with the square of the step, which is 2⁻¹⁶.
            Assert.True(Math.Abs(expected - found) < 1e-4 * norm * Math.Sqrt(count), $"{name}: {expected} by differences, {found} found");

            double Output(float step)
            {
                using var pass = NewDisposeScope();
                using var noGrad = no_grad();
                Move(step);
                var sum = (decoder.Forward(batch) * slopes).sum().item<double>();
                Move(-step);
                return sum;
            }

            void Move(float step)
            {
                foreach (var (i, sign) in signs.Index())
                {
                    parameters.Flat.Span[start + i] += step * sign;
                }
            }
        }
    }

    [Fact]
    public void Decoder_AsManyPicturesAsPlaces_IsRequired()
    {
        using var parameters = Parameters("grouped", ReferencePictures.Shape);
        using var decoder = new Decoder(TrainedWeights.None(parameters));

        var error = Assert.Throws<ArgumentException>(() => decoder.Forward(new TokenBatch([1, PicturePrompt.Token, 2], [3])));

        Assert.StartsWith("1 places for 0 vectors of pictures", error.Message);
    }

    static PictureEncoderSettings ShapeOf(string name) =>
        name switch
        {
            "gray" => ReferencePictures.Shape,
            "colour" => Colour,
            _ => Flat,
        };

    static ModelParameters Parameters(string family, PictureEncoderSettings pictures)
    {
        var parameters = new ModelParameters(DecoderShapes.Shape(family) with { Pictures = pictures });
        parameters.Initialize(4);
        var random = new Random(5);
        foreach (var name in parameters.Names.Where(name => parameters.ShapeOf(name).Length == 1))
        {
            foreach (ref var value in parameters.Values(name))
            {
                value += (float)(0.5 * (random.NextDouble() - 0.5));
            }
        }

        return parameters;
    }

    static Dictionary<string, Weight> Weights(ModelParameters parameters) =>
        parameters
            .Names.Where(ModelParameters.IsOfPictures)
            .ToDictionary(name => name, name => new Weight(tensor(parameters.Values(name).ToArray(), parameters.ShapeOf(name)), null));
}
