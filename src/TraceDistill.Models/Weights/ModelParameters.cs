using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Checkpoints;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Models.Weights;

/// <summary>All weights of a model in float32, to be trained or not.</summary>
public sealed class ModelParameters(ModelConfiguration configuration) : NamedWeights(Shapes(configuration)), IDecoderWeights
{
    public ModelConfiguration Configuration => configuration;

    public TensorDtype Dtype => TensorDtype.Float32;

    public TensorDtype DtypeOf(string name) => TensorDtype.Float32;

    public NamedWeights Vectors => this;

    public Tensor Matrices => Flat.Vector;

    public void Read(string name, long first, Span<float> values) => Flat.Slice(OffsetOf(name) + first, values.Length).CopyTo(values);

    public IEnumerable<WeightRows> Rows(string name, int count, int inner) => [new WeightRows(Flat, OffsetOf(name), 0, count)];

    /// <summary>
    /// Fills the weights as transformers initialises Llama: normal with standard deviation <c>initializer_range</c>, norms one, biases zero; the two
    /// projections into the residual stream are scaled by 1/√(2·layers), as in GPT-2.
    /// </summary>
    public void Initialize(long seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)seed);
        using var noGrad = no_grad();
        var residualScale = 1 / Math.Sqrt(2.0 * Configuration.NumHiddenLayers);
        foreach (var name in Names)
        {
            var values = Values(name);
            if (ShapeOf(name).Length == 1)
            {
                values.Fill(name.EndsWith(".bias", StringComparison.Ordinal) ? 0 : 1);
                continue;
            }

            var scale = name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal) ? residualScale : 1;
            Matrix(Flat, name).copy_(randn(ShapeOf(name), generator: generator));
            TensorPrimitives.Multiply(values, (float)(Configuration.InitializerRange * scale), values);
        }
    }

    /// <summary>Number of weights of a model of this shape, a tied output projection counted once.</summary>
    public static long CountOf(ModelConfiguration configuration) => Shapes(configuration).Sum(weight => weight.Shape.ElementCount());

    /// <summary>Names and shapes of a model's weights in storage order.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfiguration c)
    {
        yield return ("model.embed_tokens.weight", [c.VocabSize, c.HiddenSize]);
        for (var i = 0; i < c.NumHiddenLayers; i++)
        {
            var layer = $"model.layers.{i}.";
            yield return (layer + "input_layernorm.weight", [c.HiddenSize]);
            yield return (layer + "self_attn.q_proj.weight", [c.QuerySize, c.HiddenSize]);
            yield return (layer + "self_attn.k_proj.weight", [c.KeyValueSize, c.HiddenSize]);
            yield return (layer + "self_attn.v_proj.weight", [c.KeyValueSize, c.HiddenSize]);
            if (c.HasQueryKeyValueBias)
            {
                yield return (layer + "self_attn.q_proj.bias", [c.QuerySize]);
                yield return (layer + "self_attn.k_proj.bias", [c.KeyValueSize]);
                yield return (layer + "self_attn.v_proj.bias", [c.KeyValueSize]);
            }

            if (c.HasQueryKeyNorm)
            {
                yield return (layer + "self_attn.q_norm.weight", [c.HeadDim]);
                yield return (layer + "self_attn.k_norm.weight", [c.HeadDim]);
            }

            yield return (layer + "self_attn.o_proj.weight", [c.HiddenSize, c.QuerySize]);
            if (c.AttentionBias)
            {
                yield return (layer + "self_attn.o_proj.bias", [c.HiddenSize]);
            }

            yield return (layer + "post_attention_layernorm.weight", [c.HiddenSize]);
            yield return (layer + "mlp.gate_proj.weight", [c.IntermediateSize, c.HiddenSize]);
            yield return (layer + "mlp.up_proj.weight", [c.IntermediateSize, c.HiddenSize]);
            yield return (layer + "mlp.down_proj.weight", [c.HiddenSize, c.IntermediateSize]);
        }

        yield return ("model.norm.weight", [c.HiddenSize]);
        if (!c.TieWordEmbeddings)
        {
            yield return ("lm_head.weight", [c.VocabSize, c.HiddenSize]);
        }
    }
}
