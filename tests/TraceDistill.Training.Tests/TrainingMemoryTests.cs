using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Pretraining;
using Xunit;
using static TorchSharp.torch;

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

    /// <summary>Peers are trained as the student is; its average is one more copy of it.</summary>
    [Fact]
    public void Estimate_ModelsThatLearnBeside_AreCounted()
    {
        var shape = Shape.Configure(50_304, []);
        var options = new TrainOptions
        {
            Architecture = Shape,
            BatchTokens = 8_192,
            MicroBatchTokens = 1_024,
            Workers = 2,
        };
        var half = Shape with { NumHiddenLayers = 6 };
        long Of(TrainOptions options) => TrainingMemory.Estimate(options, shape);

        // Where a model teaches, whole distributions are compared, whose logits are counted too.
        var teacher = options with { Teacher = "model" };
        Assert.Equal(sizeof(float) * ModelParameters.CountOf(shape), Of(options with { SelfTeacherDecay = 0.9 }) - Of(teacher));
        var peers = Of(options with { Peers = [new PeerChoice(), new PeerChoice { Architecture = half }] });
        var weights = ModelParameters.CountOf(shape) + ModelParameters.CountOf(half.Configure(50_304, []));
        Assert.InRange(peers - Of(teacher), 5 * sizeof(float) * weights, 10 * sizeof(float) * weights);
    }

    /// <summary>Each teacher as its files have it, or as it is held; with products in bfloat16 its matrices once more in 16 bits.</summary>
    [Fact]
    public void Teachers_Several_CountsEach()
    {
        using var folder = new TemporaryDirectory();
        using var model = SampleSequences.Parameters();
        using var larger = new ModelParameters(SampleSequences.Shape with { NumHiddenLayers = 5 });
        ModelDirectory.Save(folder.File("one"), model);
        ModelDirectory.Save(folder.File("other"), larger);
        var options = new TrainOptions { Teachers = [folder.File("one"), folder.File("other"), folder.File("not there yet")] };
        long Stored(string name) => new FileInfo(Path.Combine(folder.File(name), "model.safetensors")).Length;

        Assert.Equal(Stored("one") + Stored("other"), TrainingMemory.Teachers(options));
        Assert.InRange(Stored("one"), sizeof(float) * model.Count, (sizeof(float) * model.Count) + 10_000);
        var held = options with
        {
            Teachers = [folder.File("one"), new TeacherChoice { Model = folder.File("other"), Dtype = MasterDtype.BFloat16 }],
        };
        Assert.Equal(Stored("one") + (sizeof(ushort) * larger.Count), TrainingMemory.Teachers(held));
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

    /// <summary>Experts have adapters each, r · (inputs + outputs) to a matrix, and DoRA a number more for each output.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Estimate_Adapters_CountsThoseOfEveryMatrixOfTheLayers(string name)
    {
        const int Rank = 3;
        using var model = DecoderShapes.Parameters(name, seed: 1);
        var shapes = model
            .Names.Where(weight => weight.Contains(".layers.") && !weight.EndsWith(".gate.weight", StringComparison.Ordinal))
            .Select(model.ShapeOf)
            .Where(shape => shape.Length == 2)
            .ToList();
        foreach (var useDora in new[] { false, true })
        {
            var settings = new LoraSettings(Rank, 6, 0, [LoraAdapter.AllLinear], useDora);
            using var adapter = new LoraAdapter(model, settings, seed: 1);
            var expected = shapes.Sum(shape => (Rank * (shape[0] + shape[1])) + (useDora ? shape[0] : 0));

            Assert.Equal(expected, LoraAdapter.CountOf(model.Configuration, settings));
            Assert.Equal(expected, adapter.Count);

            // In float32 a weight, whose frozen base is counted apart, has two moments, and a gradient in each lane.
            var options = new TrainOptions
            {
                Student = "model",
                LoraR = Rank,
                LoraAlpha = 6,
                UseDora = useDora,
                ComputeDtype = ComputeDtype.Float32,
                Workers = 1,
            };
            var lanes = GradientWorkers.LanesOf(expected, options.UpdateTokens, options.MicroBatchTokens, isOnCpu: true);
            var none = TrainingMemory.Estimate(options with { LoraTargetModules = [] }, model.Configuration);
            Assert.Equal((2 + lanes) * 4 * expected, TrainingMemory.Estimate(options, model.Configuration) - none);
        }
    }

    /// <summary>Of weights, gradient and moments, counted name by name.</summary>
    [Theory]
    [InlineData(MasterDtype.Float32, 4)]
    [InlineData(MasterDtype.BFloat16, 2)]
    public void Held_WeightsThatAreTrainedWhole_TakeWhatTheMasterDtypeTakes(MasterDtype dtype, int bytes)
    {
        using var parameters = SampleSequences.Parameters();
        var weights = parameters.Names.Sum(name => parameters.ShapeOf(name).Aggregate(1L, (a, b) => a * b));
        var trained = TrainedWeights.All(parameters);
        var options = Options with { MasterDtype = dtype, ComputeDtype = ComputeDtype.BFloat16 };

        Assert.Equal(bytes * weights, TrainingMemory.Held(options, trained));
        trained.Weights.HoldAs(dtype.ToScalarType());
        Assert.Equal(trained.Weights.Flat.Vector.bytes.Length, TrainingMemory.Held(options, trained));

        // Products read what is held in bfloat16, and copies of what is not: a model in bfloat16 has none.
        var rounded = BesideActivations(options, trained);
        var exact = BesideActivations(options with { ComputeDtype = ComputeDtype.Float32 }, trained);
        Assert.Equal(dtype == MasterDtype.BFloat16 ? 0 : 2 * weights, rounded - exact);
    }

    [Theory]
    [InlineData(TensorDtype.BFloat16, 0)]
    [InlineData(TensorDtype.Float16, 2)]
    public void Held_AdaptersBesideAFrozenModel_TakesItsSixteenBitsAndFloatsForTheRest(TensorDtype dtype, int copied)
    {
        using var folder = new TemporaryDirectory();
        using (var parameters = SampleSequences.Parameters())
        {
            ModelDirectory.Save(folder.Path, parameters, dtype);
        }

        using var model = ModelDirectory.LoadFrozen(folder.Path);
        using var adapter = new LoraAdapter(model, new LoraSettings(4, 8, 0, [LoraAdapter.AllLinear], UseDora: false), seed: 3);
        var shapes = model.Names.Select(name => model.ShapeOf(name)).ToList();
        var (matrices, vectors) = (
            shapes.Where(shape => shape.Length == 2).Sum(shape => shape[0] * shape[1]),
            shapes.Where(shape => shape.Length == 1).Sum(shape => shape[0])
        );
        var adapters = adapter.Names.Sum(name => adapter.ShapeOf(name).Aggregate(1L, (a, b) => a * b));
        var trained = TrainedWeights.Of(adapter);
        var options = new TrainOptions
        {
            Student = "model",
            LoraR = 4,
            ComputeDtype = ComputeDtype.BFloat16,
        };

        Assert.Equal(2 * matrices + 4 * (vectors + adapters), TrainingMemory.Held(options, trained));

        var rounded = BesideActivations(options, trained);
        var exact = BesideActivations(options with { ComputeDtype = ComputeDtype.Float32 }, trained);
        Assert.Equal(copied * (matrices + vectors), rounded - exact);
    }

    /// <summary>A chunk of 2²⁴ logits; on the CPU of 2¹⁹, or of 128 rows where these are more and no more than 2²⁴.</summary>
    [Theory]
    [InlineData(1_000, 16_777 * 1_000L, 524 * 1_000L)]
    [InlineData(50_304, 333 * 50_304L, 128 * 50_304L)]
    [InlineData(151_936, 110 * 151_936L, 110 * 151_936L)]
    [InlineData(1_000_000, 16 * 1_000_000L, 16 * 1_000_000L)]
    public void Head_Devices_HoldTheLogitsOfTheirOwnChunkAndNotMuchMore(int vocabulary, long onGpu, long onCpu)
    {
        var shape = SampleSequences.Shape with { VocabSize = vocabulary };
        foreach (var (device, logits) in new[] { (Gpu, onGpu), (CPU, onCpu) })
        {
            Assert.InRange(TrainingMemory.Head(shape, device), 4 * logits, 8 * logits);
            // The logits before their cap are needed with those behind it.
            Assert.InRange(TrainingMemory.Head(shape with { LogitSoftCap = 30 }, device), 8 * logits, 12 * logits);
            Assert.InRange(TrainingMemory.Head(shape with { LogitSoftCap = 30 }, device), 0, 300_000_000);
        }
    }

    [Fact]
    public void EnsureFit_MoreThanTheDeviceHas_NamesBothAndWhatToLower()
    {
        var error = Assert.Throws<InvalidInputException>(() =>
            TrainingMemory.EnsureFit(90_000_000_000, 80_000_000_000, Options, Gpu, longest: 100)
        );

        Assert.StartsWith("this training takes about 90.0 GB, and there are 80.0 GB on cuda:0: lower ", error.Message);
        TrainingMemory.EnsureFit(80_000_000_000, 80_000_000_000, Options, Gpu, longest: 100);
        TrainingMemory.EnsureFit(90_000_000_000, limit: null, Options, Gpu, longest: 100);
    }

    /// <summary>Only named: nothing is computed there.</summary>
    static Device Gpu { get; } = new(DeviceType.CUDA, 0);

    /// <summary>As the CLR, a buffer of ours and libtorch say it.</summary>
    public static TheoryData<Exception> Full =>
        [
            new OutOfMemoryException(),
            new InsufficientMemoryException("8 values of Float32 cannot be allocated on cuda:0"),
            new System.Runtime.InteropServices.ExternalException("CUDA out of memory. Tried to allocate 2.00 GiB."),
        ];

    [Theory]
    [MemberData(nameof(Full), DisableDiscoveryEnumeration = true)]
    public void Advised_MemoryFull_SaysWhatToLower(Exception full)
    {
        var options = Options with { MicroBatchTokens = 2_048, Workers = 1, Optim = OptimizerKind.Lion };
        var error = Assert.Throws<Text.Errors.InvalidInputException>(() =>
            TrainingMemory.Advised(options, Gpu, longest: 100, () => throw full)
        );

        Assert.Matches(
            @"^memory is full while training on cuda:0: lower micro_batch_tokens \(now 2048\), set gradient_checkpointing: true, .*"
                + "; with other workers or gradient_checkpointing it goes on from its last checkpoint, else it begins anew$",
            error.Message
        );
        Assert.Same(full, error.InnerException);
    }

    [Fact]
    public void Advised_AnotherFailure_IsThrownAsItIs() =>
        Assert.Throws<InvalidDataException>(() =>
            TrainingMemory.Advised(Options, Gpu, longest: 100, () => throw new InvalidDataException("out of memory"))
        );

    /// <summary>Between products in bfloat16 a GPU keeps half as much for the way back, but for the head.</summary>
    [Fact]
    public void Activations_BFloat16OnAGpu_TakeHalf()
    {
        var exact = Options with { ComputeDtype = ComputeDtype.Float32 };
        var shape = Shape.Configure(50_304, []);
        var head = TrainingMemory.Head(shape, Gpu);

        var half = TrainingMemory.Activations(exact with { ComputeDtype = ComputeDtype.BFloat16 }, shape, 1, 1_000, Gpu) - head;

        Assert.Equal(TrainingMemory.Activations(exact, shape, 1, 1_000, Gpu) - head, 2 * half);
    }

    /// <summary>
    /// A token more: of each layer four rows of the width, three of the MLP, gates, candidates, a state, what goes into the last product
    /// and what the convolution gives; of one layer once more for what is worked on.
    /// </summary>
    [Fact]
    public void Activations_RecurrentModel_CountGatesAndStates()
    {
        var options = Options with { ComputeDtype = ComputeDtype.Float32, Workers = 1 };
        var shape = (Shape with { ModelType = "mingru", NumAttentionHeads = null, StateSize = 1_000 }).Configure(512, []);

        var more = At(3_001) - At(3_000);

        Assert.Equal((12 + 1) * 4 * ((4 * 768) + (3 * 2_048) + (4 * 1_000) + 768), more);

        long At(int longest) => TrainingMemory.Activations(options, shape, 1, longest, CPU);
    }

    static long BesideActivations(OptimizationOptions options, TrainedWeights trained) =>
        TrainingMemory.Estimate(options, trained, 100, Gpu)
        - TrainingMemory.Activations(options, trained.Model.Configuration, trained.Count, 100, Gpu);

    /// <summary>
    /// Of a layer of GPT-2's shape a pass keeps for each token four times 768 numbers, three times 2,048, queries, keys, values and outputs
    /// of 768 and a sum for each of twelve heads; two workers have twice 1,024 tokens, each three times as long for the teacher.
    /// </summary>
    [Fact]
    public void TeacherPass_LongerPrompts_TakesALayerOfAsManySequences()
    {
        ModelConfiguration[] teachers = [Shape.Configure(50_304, [])];
        var trained = ModelParameters.CountOf(teachers[0]);
        long token = sizeof(float) * ((4 * 768) + (3 * 2_048) + (4 * 768) + 12);

        Assert.Equal(2 * 3 * 1_024 * token, TrainingMemory.TeacherPass(Options, teachers, trained, 200, 600, CPU));
        Assert.Equal(0, TrainingMemory.TeacherPass(Options, teachers, trained, 200, 200, CPU));
        Assert.Equal(0, TrainingMemory.TeacherPass(Options, [], trained, 200, 600, CPU));
    }

    static long Of(OptimizationOptions options) => TrainingMemory.Estimate(options, Shape.Configure(50_304, []));
}
