using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Optimization;

[Trait("Category", "Numeric")]
public class WeightOptimizerTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 20,
        HiddenSize = 16,
        IntermediateSize = 24,
        NumHiddenLayers = 1,
        NumAttentionHeads = 2,
        NumKeyValueHeads = 1,
        HeadDim = 8,
        TieWordEmbeddings = true,
    };

    /// <summary>Its MLP is too large for Muon's kernel.</summary>
    static readonly ModelConfiguration LargeShape = Shape with { HiddenSize = 776, IntermediateSize = 784 };

    [Fact]
    public void Step_AdamW_FollowsLibtorchsAdamW()
    {
        using var scope = NewDisposeScope();
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var options = new OptimizationOptions
        {
            LearningRate = 3e-3,
            WeightDecay = 0.1,
            AdamBeta2 = 0.98,
        };
        using var optimizer = new DeviceOptimizer(options, TrainedWeights.All(parameters));
        using var gradient = new FloatBuffer(parameters.Count);
        const string Name = "model.layers.0.mlp.up_proj.weight";
        var weight = new TorchSharp.Modules.Parameter(tensor(parameters.Values(Name).ToArray()));
        using var reference = optim.AdamW([weight], lr: 3e-3, beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.1);
        var random = new Random(2);

        for (var update = 1; update <= 20; update++)
        {
            foreach (ref var slope in gradient.Span)
            {
                slope = (float)(random.NextDouble() - 0.4);
            }

            weight.grad = tensor(gradient.Span.Slice((int)parameters.OffsetOf(Name), (int)weight.numel()).ToArray()) * 0.5;
            reference.step();
            optimizer.Step(gradient, 0.5, 3e-3, update);
        }

        var expected = weight.data<float>().ToArray();
        Assert.All(parameters.Values(Name).ToArray().Zip(expected), pair =>
            Assert.Equal(pair.Second, pair.First, Rounding.Of(20 * 20) * (3e-3 + Math.Abs(pair.Second)))
        ); // 20 updates of 20 operations
    }

    [Theory]
    [InlineData(24, 16)]
    [InlineData(16, 24)]
    [InlineData(20, 20)]
    [InlineData(70, 9)]
    public void Orthogonalize_AnyMatrix_KeepsSingularVectorsAndEvensSingularValues(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var orthogonalizer = new NewtonSchulz([
            [80, 30],
            [rows, columns],
        ]);
        var x = randn([rows, columns], generator: new Generator(3));
        var values = x.data<float>().ToArray();
        orthogonalizer.Orthogonalize(Enumerable.Repeat(1f, 80 * 30).ToArray(), 80, 30);

        orthogonalizer.Orthogonalize(values, rows, columns);

        var (u, s, vt) = linalg.svd(x, fullMatrices: false);
        var product = u.t().matmul(tensor(values, rows, columns)).matmul(vt.t());
        Assert.InRange((product - product.diagonal().diag()).abs().max().item<float>(), 0, 1e-3);
        Assert.InRange(product.diagonal().min().item<float>(), 0.5, 1.3);
        Assert.InRange(product.diagonal().max().item<float>(), 0.5, 1.3);
        Assert.True(s[0].item<float>() / s[-1].item<float>() > 1.5);
    }

    [Theory]
    [InlineData("model.layers.0.self_attn.k_proj.weight", true)] // wide
    [InlineData("model.layers.0.mlp.up_proj.weight", true)] // tall
    [InlineData("model.layers.0.mlp.down_proj.weight", false)] // wide
    [InlineData("model.layers.0.mlp.up_proj.weight", false)] // tall
    public void Step_Muon_FollowsItsFormulaInFloat64(string name, bool isKernel)
    {
        using var scope = NewDisposeScope();
        using var parameters = new ModelParameters(isKernel ? Shape : LargeShape);
        parameters.Initialize(1);
        using var optimizer = new DeviceOptimizer(
            new OptimizationOptions
            {
                Optim = OptimizerKind.Muon,
                LearningRate = 1e-3,
                MuonLearningRate = 0.05,
                MuonWeightDecay = 0.3,
            },
            TrainedWeights.All(parameters)
        );
        using var gradient = new FloatBuffer(parameters.Count);
        var shape = parameters.ShapeOf(name);
        Assert.Equal(isKernel, NewtonSchulz.TakesKernel(shape));
        var weight = tensor(parameters.Values(name).ToArray(), shape).to(ScalarType.Float64);
        var momentum = zeros_like(weight);
        for (var update = 1; update <= 3; update++)
        {
            var slope = randn(shape, generator: new Generator((ulong)update));
            slope.data<float>().ToArray().CopyTo(gradient.Span[(int)parameters.OffsetOf(name)..]);
            momentum = momentum * 0.95 + slope.to(ScalarType.Float64) * 0.5;
            var x = slope.to(ScalarType.Float64) * 0.5 + momentum * 0.95;
            x = x / x.norm();
            for (var i = 0; i < 5; i++)
            {
                var a = x.matmul(x.t());
                x = x * 3.4445 + (a * -4.7750 + a.matmul(a) * 2.0315).matmul(x);
            }

            // Half of AdamW's peak rate is half of Muon's.
            weight = weight * (1 - 0.025 * 0.3) - x * (0.025 * Math.Sqrt(Math.Max(1.0, (double)shape[0] / shape[1])));
            optimizer.Step(gradient, 0.5, 5e-4, update);
        }

        var actual = tensor(parameters.Values(name).ToArray(), shape).to(ScalarType.Float64);
        // Three updates, each of five steps of three products; singular values stay below 1.3.
        Assert.InRange((actual - weight).abs().max().item<double>(), 0, 3 * 0.05 * 1.3 * Rounding.Of(5 * 3 * shape.Max()));
    }

    [Theory]
    [InlineData(OptimizerKind.Adamw)]
    [InlineData(OptimizerKind.Adamw8bit)]
    [InlineData(OptimizerKind.Lion)]
    [InlineData(OptimizerKind.Muon)]
    public void Step_OfAnyRule_GivesTheSameBitsWithAnyNumberOfWorkers(OptimizerKind kind)
    {
        Assert.Equal(After(workers: 1), After(workers: 3));

        float[] After(int workers)
        {
            // Its embedding is shared out among the workers; of its matrices, Muon takes some by its kernel and some by libtorch.
            using var parameters = new ModelParameters(LargeShape with { NumHiddenLayers = 2, VocabSize = 9_001 });
            parameters.Initialize(1);
            using var gradient = new FloatBuffer(parameters.Count);
            parameters.Flat.Span.CopyTo(gradient.Span);
            using var optimizer = new DeviceOptimizer(
                new OptimizationOptions { Optim = kind, Workers = workers },
                TrainedWeights.All(parameters)
            );
            optimizer.Step(gradient, 1, 1e-3, 1);
            return parameters.Flat.Span.ToArray();
        }
    }

    [Fact]
    public void Step_Muon_LeavesEmbeddingsToAdamW()
    {
        using var muon = new ModelParameters(Shape);
        using var adam = new ModelParameters(Shape);
        foreach (var (parameters, kind) in new[] { (muon, OptimizerKind.Muon), (adam, OptimizerKind.Adamw) })
        {
            parameters.Initialize(1);
            using var gradient = new FloatBuffer(parameters.Count);
            gradient.Span.Fill(0.1f);
            using var optimizer = new DeviceOptimizer(new OptimizationOptions { Optim = kind }, TrainedWeights.All(parameters));
            optimizer.Step(gradient, 1, 1e-3, 1);
        }

        Assert.Equal(adam.Values("model.embed_tokens.weight").ToArray(), muon.Values("model.embed_tokens.weight").ToArray());
        Assert.NotEqual(
            adam.Values("model.layers.0.self_attn.q_proj.weight").ToArray(),
            muon.Values("model.layers.0.self_attn.q_proj.weight").ToArray()
        );
    }

    /// <summary>AdamW's first step is as long for every element, whatever its gradient; Muon's is not.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Step_MuonOfAnyFamily_TakesExactlyTheMatricesOfTheLayers(string shape)
    {
        const float Rate = 1e-2f;
        using var parameters = DecoderShapes.Parameters(shape, seed: 1);
        var former = parameters.Flat.Span.ToArray();
        using var gradient = new FloatBuffer(parameters.Count);
        var random = new Random(2);
        foreach (ref var slope in gradient.Span)
        {
            slope = (float)(0.1 + random.NextDouble());
        }

        var options = new OptimizationOptions { Optim = OptimizerKind.Muon, WeightDecay = 0 };
        using var optimizer = new DeviceOptimizer(options, TrainedWeights.All(parameters));

        optimizer.Step(gradient, 1, Rate, 1);

        Assert.Equal(
            parameters.Names.Where(name =>
                parameters.ShapeOf(name).Length == 2 && name is not ("model.embed_tokens.weight" or "lm_head.weight")
            ),
            parameters.Names.Where(name =>
            {
                var start = (int)parameters.OffsetOf(name);
                return parameters
                    .Values(name)
                    .ToArray()
                    .Index()
                    .Any(weight => Math.Abs(former[start + weight.Index] - weight.Item - Rate) > Rate / 10);
            })
        );
    }

    /// <summary>Without a gradient weight decay is all that moves a weight: matrices, and neither norms nor a convolution's taps.</summary>
    [Theory]
    [InlineData(OptimizerKind.Adamw)]
    [InlineData(OptimizerKind.Adamw8bit)]
    [InlineData(OptimizerKind.Lion)]
    public void Step_WeightDecay_LeavesConvolutionsAndNormsAsTheyAre(OptimizerKind kind)
    {
        using var parameters = DecoderShapes.Parameters("mingru", seed: 3);
        var before = parameters.Names.ToDictionary(name => name, name => parameters.Values(name).ToArray());
        using var optimizer = new DeviceOptimizer(
            new OptimizationOptions { Optim = kind, WeightDecay = 0.1 },
            TrainedWeights.All(parameters)
        );
        using var gradient = new FloatBuffer(parameters.Count);

        optimizer.Step(gradient, 1, 1e-2, 1);

        foreach (var (name, values) in before)
        {
            var factor = parameters.ShapeOf(name).Length == 2 ? 1 - (1e-2 * 0.1) : 1;
            var expected = values.Select(value => value * factor);
            Assert.All(expected.Zip(parameters.Values(name).ToArray()), pair => Assert.Equal(pair.First, pair.Second, Rounding.Of(2)));
        }
    }

    /// <summary>Algorithm 2 of arXiv 2302.06675, in float64.</summary>
    [Fact]
    public void Step_Lion_FollowsItsFormula()
    {
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var options = new OptimizationOptions
        {
            Optim = OptimizerKind.Lion,
            WeightDecay = 0.1,
            AdamBeta1 = 0.9,
            AdamBeta2 = 0.99,
        };
        using var optimizer = new DeviceOptimizer(options, TrainedWeights.All(parameters));
        using var gradient = new FloatBuffer(parameters.Count);
        const string Name = "model.layers.0.mlp.up_proj.weight";
        double[] w = [.. parameters.Values(Name).ToArray().Select(value => (double)value)],
            m = new double[w.Length];
        var random = new Random(5);
        for (var update = 1; update <= 12; update++)
        {
            foreach (ref var slope in gradient.Span)
            {
                slope = (float)(random.NextDouble() - 0.45);
            }

            var slopes = gradient.Span.Slice((int)parameters.OffsetOf(Name), w.Length).ToArray();
            for (var i = 0; i < w.Length; i++)
            {
                var g = 0.5 * slopes[i];
                w[i] -= 3e-3 * (Math.Sign((0.9 * m[i]) + (0.1 * g)) + (0.1 * w[i]));
                m[i] = (0.99 * m[i]) + (0.01 * g);
            }

            optimizer.Step(gradient, 0.5, 3e-3, update);
        }

        Assert.All(w.Zip(parameters.Values(Name).ToArray()), pair => Assert.Equal(pair.First, pair.Second, Rounding.Of(12 * 3)));
    }

    /// <summary>
    /// Moments of 7 bits and a sign: a step of AdamW is off by what a code is off, a thirtieth of the number
    /// or so. Of many steps with a steady part in the gradient the way is the same to a few hundredths.
    /// </summary>
    [Fact]
    public void Step_AdamW8Bit_GoesTheWayOfAdamWInAQuarterOfTheMemory()
    {
        var (exact, exactBytes) = After(OptimizerKind.Adamw);
        var (rounded, roundedBytes) = After(OptimizerKind.Adamw8bit);
        var (first, _) = After(OptimizerKind.Adamw, updates: 0);

        double way = Way(exact, first),
            off = Way(exact, rounded);
        Assert.InRange(off / way, 1e-6, 0.05);
        Assert.InRange((double)roundedBytes / exactBytes, 0.25, 0.27);

        static double Way(float[] a, float[] b) => Math.Sqrt(a.Zip(b, (x, y) => Math.Pow(x - (double)y, 2)).Sum());

        static (float[] Weights, long Bytes) After(OptimizerKind kind, int updates = 50)
        {
            using var parameters = new ModelParameters(Shape);
            parameters.Initialize(1);
            using var optimizer = new DeviceOptimizer(
                new OptimizationOptions { Optim = kind, Workers = 2 },
                TrainedWeights.All(parameters)
            );
            using var gradient = new FloatBuffer(parameters.Count);
            var (random, steady) = (new Random(2), new Random(3));
            float[] mean = [.. Enumerable.Range(0, (int)parameters.Count).Select(_ => (float)steady.NextDouble() - 0.5f)];
            for (var update = 1; update <= updates; update++)
            {
                for (var i = 0; i < mean.Length; i++)
                {
                    gradient.Span[i] = mean[i] + (float)(random.NextDouble() - 0.5);
                }

                optimizer.Step(gradient, 1, 1e-3, update);
            }

            var bytes = 0L;
            optimizer.Visit(memory =>
            {
                bytes += memory.Length;
                return false;
            });
            return (parameters.Flat.Span.ToArray(), bytes);
        }
    }

    [Fact]
    public void Encode_AnyNumber_IsTheNearestOfTheValues()
    {
        foreach (var (code, least) in new[] { (DynamicCode.Signed, -1.0), (DynamicCode.Unsigned, 0.0) })
        {
            var values = code.Values.ToArray();
            Assert.Equal(256, values.Distinct().Count());
            var random = new Random(1);
            for (var i = 0; i < 5_000; i++)
            {
                var value = (float)(Math.Pow(10, -8 * random.NextDouble()) * (least < 0 && i % 2 == 0 ? -1 : 1));
                Assert.Equal(values.Min(other => Math.Abs(other - value)), Math.Abs(values[code.Encode(value)] - value));
            }

            Assert.Equal([0f, 1f], [values[code.Encode(0)], values[code.Encode(1)]]);
        }
    }
}
