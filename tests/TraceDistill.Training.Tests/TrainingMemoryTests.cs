using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Pretraining;
using Xunit;

namespace TraceDistill.Training.Tests;

public class TrainingMemoryTests
{
    /// <summary>GPT-2's shape.</summary>
    static readonly ModelArchitecture Shape = new()
    {
        HiddenSize = 768,
        NumHiddenLayers = 12,
        NumAttentionHeads = 12,
        IntermediateSize = 2_048,
        MaxPositionEmbeddings = 1_024,
    };

    static readonly PretrainOptions Options = new()
    {
        Architecture = Shape,
        BatchTokens = 8_192,
        MicroBatchTokens = 1_024,
        Workers = 2,
    };

    [Fact]
    public void Estimate_AdamW_HoldsWeightsMomentsAndTwoGradientsAndNotMuchMore()
    {
        var weights = ModelParameters.CountOf(Shape.Configure(50_304, []));

        // Float32; two lanes, since two gradients of 124 million weights are what a gigabyte holds.
        var least = (1 + 2 + 2) * 4 * weights;
        Assert.InRange(Of(Options), least, 2 * least);
    }

    [Fact]
    public void Estimate_WhatSavesMemory_IsSeen()
    {
        Assert.True(Of(Options with { GradientCheckpointing = true }) < Of(Options));
        Assert.True(Of(Options with { MicroBatchTokens = 256 }) < Of(Options));
        Assert.True(Of(Options with { Workers = 1 }) < Of(Options));

        // A frozen base of 16 bits has no moments and no gradient.
        var adapter = new TrainOptions
        {
            Student = "model",
            LoraR = 16,
            BatchTokens = 8_192,
            MicroBatchTokens = 1_024,
            Workers = 2,
            GradientCheckpointing = true,
        };
        Assert.True(2 * Of(adapter) < Of(Options with { GradientCheckpointing = true }));
    }

    static long Of(OptimizationOptions options) => TrainingMemory.Estimate(options, Shape.Configure(50_304, []));
}
