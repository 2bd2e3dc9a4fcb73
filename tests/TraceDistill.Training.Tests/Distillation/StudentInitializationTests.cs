using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

[Trait("Category", "Numeric")]
public class StudentInitializationTests
{
    static readonly ModelConfiguration Large = new()
    {
        VocabSize = 50,
        HiddenSize = 48,
        IntermediateSize = 64,
        NumHiddenLayers = 4,
        NumAttentionHeads = 8,
        NumKeyValueHeads = 4,
        HeadDim = 8,
        MaxPositionEmbeddings = 64,
        InitializerRange = 0.3,
        RopeTheta = 5_000,
        RmsNormEps = 1e-5,
        TieWordEmbeddings = false,
    };

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void Finite_WeightThatIsNoNumber_IsNamed(float damaged)
    {
        using var parameters = new ModelParameters(Large);
        parameters.Initialize(1);
        Assert.Same(parameters, StudentInitialization.Finite(parameters, "student"));
        var name = parameters.Names.Last();
        parameters.Values(name)[^1] = damaged;

        var error = Assert.Throws<InvalidInputException>(() => StudentInitialization.Finite(parameters, "student"));

        Assert.StartsWith($"student: {name} has values that are not finite", error.Message);
    }

    static readonly ModelConfiguration Small = Large with
    {
        IntermediateSize = 32,
        NumHiddenLayers = 2,
        NumAttentionHeads = 2,
        NumKeyValueHeads = 2,
        RopeTheta = 10_000,
    };

    /// <summary>Where what is left out does nothing in the larger model, the student has to say what the larger model says.</summary>
    [Theory]
    [InlineData(ModelFamily.Llama, false)]
    [InlineData(ModelFamily.Llama, true)]
    [InlineData(ModelFamily.Qwen2, false)]
    [InlineData(ModelFamily.Qwen3, false)]
    [InlineData(ModelFamily.Phi3, false)]
    [InlineData(ModelFamily.Gemma2, false)]
    [InlineData(ModelFamily.SmolLM3, false)]
    public void Copy_OfAllThatMatters_ComputesTheSame(ModelFamily family, bool bias)
    {
        bool[]? sliding = family == ModelFamily.Gemma2 ? [true, false, false, true] : null;
        int[] noRope = family == ModelFamily.SmolLM3 ? [2] : [];
        using var large = new ModelParameters(
            Large with
            {
                Family = family,
                AttentionBias = bias,
                SlidingWindow = sliding is null ? null : 5,
                SlidingLayers = sliding,
                NoRopeLayers = noRope,
            }
        );
        large.Initialize(seed: 3);
        var random = new Random(1);
        foreach (var name in large.Names.Where(name => large.ShapeOf(name).Length == 1))
        {
            foreach (ref var value in large.Values(name))
            {
                value += random.NextSingle() - 0.5f;
            }
        }

        for (var layer = 0; layer < 4; layer++)
        {
            var isKept = layer % 2 == 0;
            Silence(large, $"model.layers.{layer}.mlp.down_proj.weight", channel => !isKept || channel >= 32);
            // the first query of keys 0 and 2
            Silence(large, $"model.layers.{layer}.self_attn.o_proj.weight", channel => !isKept || channel / 8 is not (0 or 4));
            if (bias && !isKept)
            {
                large.Values($"model.layers.{layer}.self_attn.o_proj.bias").Clear();
            }
        }

        using var small = new ModelParameters(StudentInitialization.Adopt(Small, large.Configuration));
        StudentInitialization.Copy(small, large, "teacher");

        Assert.Equal((family, 5_000.0, 1e-5), (small.Configuration.Family, small.Configuration.RopeTheta, small.Configuration.RmsNormEps));
        Assert.Equal(Hidden(large), Hidden(small), (a, b) => Math.Abs(a - b) < 1e-4);
        Assert.Equal(large.Values("lm_head.weight").ToArray(), small.Values("lm_head.weight").ToArray());
    }

    /// <summary>Of states, which know nothing of each other, those at even distances; of layers every second one.</summary>
    [Fact]
    public void Copy_OfAllThatMattersInARecurrentModel_ComputesTheSame()
    {
        var shape = DecoderShapes.Shape("mingru");
        using var large = DecoderShapes.Parameters("mingru", seed: 3, layers: 4);
        for (var layer = 0; layer < 4; layer++)
        {
            var isKept = layer % 2 == 0;
            Silence(large, $"model.layers.{layer}.mlp.down_proj.weight", _ => !isKept);
            Silence(large, $"model.layers.{layer}.mixer.o_proj.weight", channel => !isKept || channel % 2 != 0);
        }

        using var small = new ModelParameters(
            StudentInitialization.Adopt(
                shape with
                {
                    Recurrence = new() { StateSize = 35, ConvKernel = 4 },
                },
                large.Configuration
            )
        );
        StudentInitialization.Copy(small, large, "teacher");

        Rounding.Close(Hidden(large), Hidden(small), 2 * Rounding.OfForward(large.Configuration, 30));
    }

    [Fact]
    public void Copy_IntoAStudentOfMoreStates_IsRefusedByName()
    {
        using var large = new ModelParameters(DecoderShapes.Shape("mingru"));
        using var small = new ModelParameters(
            large.Configuration with
            {
                Recurrence = large.Configuration.Recurrence! with { StateSize = 71 },
            }
        );

        var error = Assert.Throws<InvalidInputException>(() => StudentInitialization.Copy(small, large, "teacher"));
        Assert.Equal("init_from: the student does not fit into teacher: state_size is 71 and it has 70", error.Message);
    }

    [Fact]
    public void Copy_IntoANarrowerStudent_KeepsTheFirstChannels()
    {
        using var large = new ModelParameters(Large);
        large.Initialize(seed: 3);
        using var small = new ModelParameters(StudentInitialization.Adopt(Small with { HiddenSize = 20 }, Large));

        StudentInitialization.Copy(small, large, "teacher");

        for (var row = 0; row < 32; row++)
        {
            Assert.Equal(
                large.Values("model.layers.2.mlp.up_proj.weight").Slice(row * 48, 20).ToArray(),
                small.Values("model.layers.1.mlp.up_proj.weight").Slice(row * 20, 20).ToArray()
            );
        }

        for (var row = 0; row < 20; row++)
        {
            Assert.Equal(
                large.Values("model.layers.2.mlp.down_proj.weight").Slice(row * 64, 32).ToArray(),
                small.Values("model.layers.1.mlp.down_proj.weight").Slice(row * 32, 32).ToArray()
            );
        }
    }

    [Theory]
    [InlineData(true, false, true)]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)]
    public void Adopt_OutputProjectionThatATiedStudentHasNoPlaceFor_IsTold(bool isTied, bool isSourceTied, bool isTold)
    {
        var shape = StudentInitialization.Adopt(Large with { TieWordEmbeddings = isTied }, Large with { TieWordEmbeddings = isSourceTied });

        Assert.Equal(isTold, shape.Remark?.Contains("output projection (lm_head) is left out", StringComparison.Ordinal) ?? false);
    }

    [Fact]
    public void Copy_IntoAStudentThatIsNoPart_NamesAllThatIsTooLarge()
    {
        using var large = new ModelParameters(Large with { TieWordEmbeddings = true });
        using var other = new ModelParameters(Large with { HiddenSize = 64, NumHiddenLayers = 5, HeadDim = 16 });

        Assert.Equal(
            "init_from: the student does not fit into teacher: hidden_size is 64 and it has 48; num_hidden_layers is 5 and it has 4; "
                + "head_dim is 16 and has to be its 8; tie_word_embeddings is false, and it has no lm_head to take",
            Assert.Throws<InvalidInputException>(() => StudentInitialization.Copy(other, large, "teacher")).Message
        );
    }

    static void Silence(ModelParameters parameters, string name, Predicate<int> isDropped)
    {
        var width = (int)parameters.ShapeOf(name)[1];
        var values = parameters.Values(name);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = isDropped(i % width) ? 0 : values[i];
        }
    }

    static float[] Hidden(ModelParameters parameters)
    {
        int[] ids = [.. Enumerable.Range(0, 30).Select(i => i * 7 % 50)];
        return DecoderRun.Forward(TrainedWeights.All(parameters), new TokenBatch(ids, [ids.Length]));
    }

    [Fact]
    public void Copy_OutOfAModelWithExperts_IsRefusedByName()
    {
        using var large = new ModelParameters(DecoderShapes.Shape("mixtral"));
        using var small = new ModelParameters(
            StudentInitialization.Adopt(large.Configuration with { NumHiddenLayers = 1 }, large.Configuration)
        );

        var error = Assert.Throws<InvalidInputException>(() => StudentInitialization.Copy(small, large, "teacher"));
        Assert.Equal("init_from: the student does not fit into teacher: it has experts (mixtral), which cannot be cut", error.Message);
    }

    [Fact]
    public void Copy_OutOfNormsOverTheWholeWidth_TakesTheChannelsOfTheHeadsThatAreKept()
    {
        using var large = new ModelParameters(Large with { Family = ModelFamily.Olmo2 });
        const string norm = "model.layers.2.self_attn.q_norm.weight";
        foreach (var (i, _) in large.Values(norm).ToArray().Index())
        {
            large.Values(norm)[i] = i;
        }

        using var small = new ModelParameters(StudentInitialization.Adopt(Small, large.Configuration));
        StudentInitialization.Copy(small, large, "teacher");

        // The first of two queries for each of the keys 0 and 2: heads 0 and 4 of eight channels.
        Assert.Equal(
            [.. Enumerable.Range(0, 8), .. Enumerable.Range(32, 8)],
            small.Values("model.layers.1.self_attn.q_norm.weight").ToArray().Select(value => (int)value)
        );
    }
}
