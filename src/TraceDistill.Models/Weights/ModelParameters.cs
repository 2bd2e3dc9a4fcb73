using TraceDistill.Models.Configuration;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Models.Weights;

/// <summary>All weights of a model in one buffer, to be trained or not.</summary>
public sealed class ModelParameters : NamedWeights, IDecoderWeights
{
    /// <param name="configuration">The model's.</param>
    public ModelParameters(ModelConfiguration configuration)
        : base(Shapes(configuration)) => Configuration = configuration;

    /// <summary>A model whose weights lie in a storage that it shares with others.</summary>
    internal ModelParameters(ModelConfiguration configuration, NamedWeights storage, Func<string, string> nameIn)
        : base(Shapes(configuration), storage, nameIn) => Configuration = configuration;

    public ModelConfiguration Configuration { get; }

    public TensorDtype Dtype => Flat.Dtype == ScalarType.BFloat16 ? TensorDtype.BFloat16 : TensorDtype.Float32;

    public TensorDtype DtypeOf(string name) => Dtype;

    public NamedWeights Vectors => this;

    public Tensor Matrices => Flat.Vector;

    /// <summary>The same weights in memory of their own, on the CPU.</summary>
    public ModelParameters Copy()
    {
        var copy = new ModelParameters(Configuration);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        copy.Flat.Vector.copy_(Flat.Vector);
        return copy;
    }

    /// <summary>
    /// Fills the weights as transformers does: normal with standard deviation <c>initializer_range</c>, norms one (zero where
    /// they add one), biases zero; the two projections into the residual stream are scaled by 1/√(2·layers), as in GPT-2. An encoder of
    /// pictures has a rule of its own.
    /// </summary>
    public void Initialize(long seed)
    {
        Initialize(Names, seed);
    }

    /// <summary>As <see cref="Initialize(long)"/>, a classifier's head alone.</summary>
    public void InitializeHead(long seed) =>
        Initialize(Names.Where(name => name is ClassificationHead.Weight or ClassificationHead.Bias), seed);

    void Initialize(IEnumerable<string> names, long seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)seed);
        using var noGrad = no_grad();
        var residualScale = 1 / Math.Sqrt(2.0 * Configuration.NumHiddenLayers);
        foreach (var name in names)
        {
            var values = Values(name);
            if (ShapeOf(name).Length == 1) // not of a convolution, whose numbers are drawn
            {
                var addsOne = Configuration.Traits.NormsAddOne && !IsOfPictures(name);
                values.Fill(name.EndsWith(".bias", StringComparison.Ordinal) || addsOne ? 0 : 1);
                continue;
            }

            var scale = name.Split('.')[^2] is "o_proj" or "down_proj" or "w2" ? residualScale : 1;
            var deviation = IsOfPictures(name)
                ? PictureWeights.InitialDeviation(name, Configuration.Pictures!, ShapeOf(name))
                : Configuration.InitializerRange * scale;
            var matrix = Matrix(Flat, name);
            matrix.copy_(randn(matrix.shape, generator: generator));
            TensorPrimitives.Multiply(values, (float)deviation, values);
        }
    }

    /// <summary>Returns whether a weight is of the encoder of pictures.</summary>
    public static bool IsOfPictures(string name) => name.StartsWith(PictureWeights.Prefix, StringComparison.Ordinal);

    /// <summary>Number of weights of a model of this shape, a tied output projection counted once.</summary>
    public static long CountOf(ModelConfiguration configuration) => Shapes(configuration).Sum(weight => weight.Shape.ElementCount());

    /// <summary>Names and shapes of a model's weights in storage order.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Shapes(ModelConfiguration c)
    {
        yield return ("model.embed_tokens.weight", [c.VocabSize, c.HiddenSize]);
        for (var i = 0; i < c.NumHiddenLayers; i++)
        {
            var layer = $"model.layers.{i}.";
            var mixer = c.Recurrence is { } recurrence ? RecurrenceShapes(c, recurrence, layer) : AttentionShapes(c, layer);
            foreach (var weight in mixer.Concat(c.HasExperts(i) ? ExpertShapes(c, layer) : MlpShapes(c, layer)))
            {
                yield return weight;
            }

            if (c.Traits.Norms != NormPlacement.Before)
            {
                yield return (layer + "post_feedforward_layernorm.weight", [c.HiddenSize]);
            }
        }

        yield return ("model.norm.weight", [c.HiddenSize]);
        if (c.Head is { } head)
        {
            yield return (ClassificationHead.Weight, [head.Labels.Count, c.HiddenSize]);
            if (head.Kind == LabelKind.Token)
            {
                yield return (ClassificationHead.Bias, [head.Labels.Count]);
            }
        }
        else if (!c.TieWordEmbeddings)
        {
            yield return ("lm_head.weight", [c.VocabSize, c.HiddenSize]);
        }

        foreach (var weight in c.Pictures is { } pictures ? PictureWeights.Shapes(pictures, c.HiddenSize) : [])
        {
            yield return weight;
        }
    }

    /// <summary>Up to the norm before the MLP.</summary>
    static IEnumerable<(string Name, long[] Shape)> AttentionShapes(ModelConfiguration c, string layer)
    {
        if (c.Traits.Norms != NormPlacement.After)
        {
            yield return (layer + "input_layernorm.weight", [c.HiddenSize]);
        }

        (string Name, int Rows)[] projections = c.Traits.FusesProjections
            ? [("qkv_proj", c.QuerySize + 2 * c.KeyValueSize)]
            : [("q_proj", c.QuerySize), ("k_proj", c.KeyValueSize), ("v_proj", c.KeyValueSize)];
        foreach (var (name, rows) in projections)
        {
            yield return ($"{layer}self_attn.{name}.weight", [rows, c.HiddenSize]);
        }

        foreach (var (name, rows) in c.HasQueryKeyValueBias ? projections : [])
        {
            yield return ($"{layer}self_attn.{name}.bias", [rows]);
        }

        if (c.HasQueryKeyNorm)
        {
            var isWhole = c.Traits.QueryKeyNorms == QueryKeyNorms.OfWidth;
            yield return (layer + "self_attn.q_norm.weight", [isWhole ? c.QuerySize : c.HeadDim]);
            yield return (layer + "self_attn.k_norm.weight", [isWhole ? c.KeyValueSize : c.HeadDim]);
        }

        yield return (layer + "self_attn.o_proj.weight", [c.HiddenSize, c.QuerySize]);
        if (c.AttentionBias)
        {
            yield return (layer + "self_attn.o_proj.bias", [c.HiddenSize]);
        }

        yield return (layer + "post_attention_layernorm.weight", [c.HiddenSize]);
        if (c.Traits.Norms == NormPlacement.BeforeAndAfter)
        {
            yield return (layer + "pre_feedforward_layernorm.weight", [c.HiddenSize]);
        }
    }

    /// <summary>Up to the norm before the MLP.</summary>
    static IEnumerable<(string Name, long[] Shape)> RecurrenceShapes(ModelConfiguration c, RecurrenceSettings settings, string layer)
    {
        yield return (layer + "input_layernorm.weight", [c.HiddenSize]);
        if (settings.Tail > 0)
        {
            yield return (layer + "mixer.conv.weight", [c.HiddenSize, 1, settings.ConvKernel]);
        }

        yield return (layer + "mixer.z_proj.weight", [settings.StateSize, c.HiddenSize]);
        yield return (layer + "mixer.h_proj.weight", [settings.StateSize, c.HiddenSize]);
        yield return (layer + "mixer.o_proj.weight", [c.HiddenSize, settings.StateSize]);
        yield return (layer + "post_attention_layernorm.weight", [c.HiddenSize]);
    }

    static IEnumerable<(string Name, long[] Shape)> MlpShapes(ModelConfiguration c, string layer)
    {
        (string Name, int Rows)[] gateUp = c.Traits.FusesProjections
            ? [("gate_up_proj", 2 * c.IntermediateSize)]
            : [("gate_proj", c.IntermediateSize), ("up_proj", c.IntermediateSize)];
        foreach (var (name, rows) in gateUp)
        {
            yield return ($"{layer}mlp.{name}.weight", [rows, c.HiddenSize]);
        }

        yield return (layer + "mlp.down_proj.weight", [c.HiddenSize, c.IntermediateSize]);
    }

    static IEnumerable<(string Name, long[] Shape)> ExpertShapes(ModelConfiguration c, string layer)
    {
        var (experts, names) = (c.Experts!, c.Traits.Experts!);
        yield return ($"{layer}{names.Block}.gate.weight", [experts.NumExperts, c.HiddenSize]);
        for (var i = 0; i < experts.NumExperts; i++)
        {
            var expert = $"{layer}{names.Block}.experts.{i}.";
            yield return ($"{expert}{names.Gate}.weight", [experts.IntermediateSize, c.HiddenSize]);
            yield return ($"{expert}{names.Up}.weight", [experts.IntermediateSize, c.HiddenSize]);
            yield return ($"{expert}{names.Down}.weight", [c.HiddenSize, experts.IntermediateSize]);
        }
    }
}
