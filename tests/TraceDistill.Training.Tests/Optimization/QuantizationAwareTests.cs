using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

/// <summary>Gradients of a model that is trained for a quantised file.</summary>
[Trait("Category", "Numeric")]
public class QuantizationAwareTests
{
    static readonly ObjectivePlan Settings = ObjectivePlan.Classic(0.6, 1.5, MissingMass.TailBucket);

    static readonly ExpertSettings Experts = new()
    {
        NumExperts = 4,
        NumExpertsPerToken = 2,
        IntermediateSize = 64,
        NormalizesTopK = true,
        RouterLossWeight = 0,
    };

    static readonly ModelConfiguration Shape = SampleSequences.Shape with { IntermediateSize = 64 };

    static readonly Dictionary<string, ModelConfiguration> Shapes = new()
    {
        ["llama"] = Shape,
        ["tied"] = Shape with { TieWordEmbeddings = true },
        ["wide and tied"] = Shape with { TieWordEmbeddings = true, HiddenSize = 256 }, // the embedding in Q6_K
        ["narrow"] = Shape with { IntermediateSize = 48 }, // one matrix in F16
        ["fused"] = Shape with { Family = ModelFamily.Phi3 },
        ["experts"] = Shape with { Family = ModelFamily.Mixtral, Experts = Experts },
    };

    public static TheoryData<string, QuantizationAware, ComputeDtype> Cases =>
        [
            .. Shapes.Keys.SelectMany(shape =>
                new[]
                {
                    new TheoryDataRow<string, QuantizationAware, ComputeDtype>(shape, QuantizationAware.Q8_0, ComputeDtype.Float32),
                    new TheoryDataRow<string, QuantizationAware, ComputeDtype>(shape, QuantizationAware.Q4_0, ComputeDtype.Float32),
                    new TheoryDataRow<string, QuantizationAware, ComputeDtype>(shape, QuantizationAware.Q4_0, ComputeDtype.BFloat16),
                }
            ),
        ];

    /// <summary>
    /// Straight through: the gradient by a weight is that by its rounded value, which a model has that holds the rounded values themselves.
    /// </summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Accumulate_InBlocks_IsThatOfAModelOfTheRoundedWeights(string shape, QuantizationAware type, ComputeDtype dtype)
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var parameters = SampleSequences.Parameters(Shapes[shape]);
        var blocks = TensorPlan.BlocksOf(Shapes[shape], type)!;
        using var rounded = parameters.Copy();
        Round(rounded, type);
        var before = parameters.Flat.Span.ToArray();
        var batch = SampleSequences.Create(8);
        using var workers = new GradientWorkers(TrainedWeights.All(parameters), 2, 60, dtype, blocks: blocks);
        using var others = new GradientWorkers(TrainedWeights.All(rounded), 2, 60, dtype);

        var (totals, expected) = (
            workers.Accumulate(batch, Settings.At(TrainingPoint.First)),
            others.Accumulate(batch, Settings.At(TrainingPoint.First))
        );

        Assert.Equal(expected.Loss, totals.Loss);
        Assert.Equal(others.Gradient.Span.ToArray(), workers.Gradient.Span.ToArray());
        Assert.Equal(before, parameters.Flat.Span.ToArray());
        Assert.NotEqual(before, rounded.Flat.Span.ToArray());
    }

    [Fact]
    public void Accumulate_InBlocksAfterTheWeightsChanged_UsesTheNewOnes()
    {
        using var parameters = SampleSequences.Parameters(Shape);
        var blocks = TensorPlan.BlocksOf(Shape, QuantizationAware.Q4_0);
        var batch = SampleSequences.Create(4);
        using var workers = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, blocks: blocks);
        var before = workers.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss;
        parameters.Initialize(4);
        using var fresh = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, blocks: blocks);

        var after = workers.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss;

        Assert.NotEqual(before, after);
        Assert.Equal(fresh.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss, after);
    }

    /// <summary>Weights that are held in 16 bits are rounded to blocks from there, without another rounding between.</summary>
    [Fact]
    public void Accumulate_InBlocksOfBFloat16Weights_IsThatOfTheSameWeightsInFloat32()
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var parameters = SampleSequences.Parameters(Shape);
        parameters.HoldAs(TorchSharp.torch.ScalarType.BFloat16);
        using var wide = parameters.Copy();
        var blocks = TensorPlan.BlocksOf(Shape, QuantizationAware.Q4_0);
        var batch = SampleSequences.Create(4);
        using var workers = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, blocks: blocks);
        using var others = new GradientWorkers(TrainedWeights.All(wide), 1, 1_000, blocks: blocks);

        Assert.Equal(
            others.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss,
            workers.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss
        );
        Assert.Equal(others.Gradient.Span.ToArray(), workers.Gradient.Span.ToArray());
    }

    static void Round(ModelParameters parameters, QuantizationAware type)
    {
        var blocks = TensorPlan.BlocksOf(parameters.Configuration, type)!;
        foreach (var name in parameters.Names)
        {
            blocks.Round(name, parameters.Values(name), parameters.ShapeOf(name));
        }
    }
}
