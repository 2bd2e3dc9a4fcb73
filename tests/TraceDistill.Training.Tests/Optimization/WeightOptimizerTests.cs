using TorchSharp;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;
using TraceDistill.Training.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Optimization;

public class WeightOptimizerTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 20, HiddenSize = 16, IntermediateSize = 24, NumHiddenLayers = 1, NumAttentionHeads = 2, NumKeyValueHeads = 1, HeadDim = 8, TieWordEmbeddings = true,
    };

    [Fact]
    public void Step_AdamW_FollowsLibtorchsAdamW()
    {
        using var scope = NewDisposeScope();
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var options = new OptimizationOptions { LearningRate = 3e-3, WeightDecay = 0.1, AdamBeta2 = 0.98 };
        using var optimizer = new WeightOptimizer(options, parameters);
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
        Assert.All(parameters.Values(Name).ToArray().Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 2e-6));
    }

    [Theory]
    [InlineData(24, 16)]
    [InlineData(16, 24)]
    public void Orthogonalize_AnyMatrix_KeepsSingularVectorsAndEvensSingularValues(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        var x = randn([rows, columns], generator: new Generator(3));

        var (u, s, vt) = linalg.svd(x, fullMatrices: false);
        var product = u.t().matmul(Muon.Orthogonalize(x)).matmul(vt.t());

        Assert.InRange((product - product.diagonal().diag()).abs().max().item<float>(), 0, 1e-3);
        Assert.InRange(product.diagonal().min().item<float>(), 0.5, 1.3);
        Assert.InRange(product.diagonal().max().item<float>(), 0.5, 1.3);
        Assert.True(s[0].item<float>() / s[-1].item<float>() > 3);
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
            using var optimizer = new WeightOptimizer(new OptimizationOptions { Optim = kind }, parameters);
            optimizer.Step(gradient, 1, 1e-3, 1);
        }

        Assert.Equal(adam.Values("model.embed_tokens.weight").ToArray(), muon.Values("model.embed_tokens.weight").ToArray());
        Assert.NotEqual(adam.Values("model.layers.0.self_attn.q_proj.weight").ToArray(), muon.Values("model.layers.0.self_attn.q_proj.weight").ToArray());
    }
}
