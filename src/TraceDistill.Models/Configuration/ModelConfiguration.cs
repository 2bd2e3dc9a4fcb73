using System.Text.Json.Serialization;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Configuration;

/// <summary>The shape of a decoder, in the words of Hugging Face's <c>config.json</c>.</summary>
public sealed record ModelConfiguration
{
    /// <value>Llama.</value>
    public ModelFamily Family { get; init; }

    public required int VocabSize { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int NumHiddenLayers { get; init; }

    /// <value>0, which a recurrent model has.</value>
    public int NumAttentionHeads { get; init; }

    /// <summary>
    /// Heads of keys and values; each serves <c>NumAttentionHeads / NumKeyValueHeads</c> query heads (grouped-query attention).
    /// </summary>
    /// <value>0, which a recurrent model has.</value>
    public int NumKeyValueHeads { get; init; }

    /// <summary>Channels of one head.</summary>
    /// <value>0, which a recurrent model has.</value>
    public int HeadDim { get; init; }

    /// <summary>The recurrence in place of attention; null where layers have attention.</summary>
    public RecurrenceSettings? Recurrence { get; init; }

    /// <summary>Makes vectors of a picture, which stands in each prompt; null where a model looks at text alone.</summary>
    public PictureEncoderSettings? Pictures { get; init; }

    /// <value>1e-6, which transformers takes when config.json is silent.</value>
    public double RmsNormEps { get; init; } = 1e-6;

    /// <value>10,000.</value>
    public double RopeTheta { get; init; } = 10_000;

    /// <value>None.</value>
    public RopeScaling RopeScaling { get; init; } = RopeScaling.None;

    /// <summary>True where all four projections of attention have a bias (Qwen 2's first three have one in any case).</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Tokens that a query of a layer with a window sees, itself included; null where no layer has a window.</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>True where each layer has the window; null where all layers have it.</summary>
    public IReadOnlyList<bool>? SlidingLayers { get; init; }

    /// <summary>Layers that do not rotate queries and keys (SmolLM3).</summary>
    public IReadOnlyList<int> NoRopeLayers { get; init; } = [];

    /// <summary>Share of each head's channels that are rotated: the first ones.</summary>
    /// <value>1.</value>
    public double PartialRotaryFactor { get; init; } = 1;

    /// <summary>Base of rotations in layers with a window (Gemma 3).</summary>
    /// <value>Null: <see cref="RopeTheta"/>, with its scaling.</value>
    public double? LocalRopeTheta { get; init; }

    /// <summary>Attention scores are divided by its square root.</summary>
    /// <value>Null: <see cref="HeadDim"/>.</value>
    public double? QueryPreAttnScalar { get; init; }

    /// <summary>c: attention scores s become c · tanh(s / c) (Gemma 2).</summary>
    /// <value>Null: they stay.</value>
    public double? AttentionSoftCap { get; init; }

    /// <summary>c: logits z become c · tanh(z / c) (Gemma 2).</summary>
    /// <value>Null: they stay.</value>
    public double? LogitSoftCap { get; init; }

    /// <summary>Routed experts in place of MLPs; null where there are none.</summary>
    public ExpertSettings? Experts { get; init; }

    /// <value>2,048 positions.</value>
    public int MaxPositionEmbeddings { get; init; } = 2_048;

    /// <summary>Labels in place of the vocabulary; null for a model that writes text.</summary>
    public ClassificationHead? Head { get; init; }

    /// <summary>True where the output projection is the embedding matrix; of no meaning where there is a <see cref="Head"/>.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Standard deviation of initial weights.</summary>
    /// <value>0.02.</value>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>The quantised file that the weights were trained for, and on whose blocks they lie.</summary>
    /// <value>None.</value>
    public QuantizationAware QuantizationAware { get; init; }

    /// <summary>Layers, from 0, that were trained to have logits of their own, after which an answer may leave the model.</summary>
    /// <value>None.</value>
    public IReadOnlyList<int> EarlyExitLayers { get; init; } = [];

    public int? BosTokenId { get; init; }

    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>
    /// One line on what a checkpoint's tensors say otherwise than <c>config.json</c>, which then does not count; null where they agree.
    /// </summary>
    [JsonIgnore]
    public string? Remark { get; init; }

    /// <summary>True where queries, keys and values have a bias.</summary>
    public bool HasQueryKeyValueBias => Traits.HasQueryKeyValueBias || AttentionBias;

    /// <summary>True where queries and keys are normalised before they are rotated.</summary>
    public bool HasQueryKeyNorm => Traits.QueryKeyNorms != QueryKeyNorms.None;

    /// <summary>In what the family differs from Llama.</summary>
    [JsonIgnore]
    public FamilyTraits Traits => Family.Traits();

    /// <summary>The class that transformers loads.</summary>
    [JsonIgnore]
    public string Architecture => Head is null ? Traits.Architecture : Traits.ClassifierPrefix + Head.Suffix;

    /// <summary>The token mixer of a layer, in words.</summary>
    [JsonIgnore]
    public string MixerText =>
        Recurrence is { } recurrence
            ? $"a recurrent state of {recurrence.StateSize}"
                + (recurrence.Tail > 0 ? $" behind a convolution of {recurrence.ConvKernel} tokens" : "")
            : $"{NumAttentionHeads} heads of {HeadDim} ({NumKeyValueHeads} for keys and values)";

    /// <summary>The encoder of pictures, in words behind others; nothing where a model reads text alone.</summary>
    [JsonIgnore]
    public string PictureText => Pictures is null ? "" : $"; looks at {Pictures.Text}";

    /// <summary>Channels of a head that are rotated.</summary>
    public int RotaryDim => (int)(HeadDim * PartialRotaryFactor);

    /// <summary>Factor of attention scores; 0 where there are none.</summary>
    public double AttentionScale => Recurrence is null ? 1 / Math.Sqrt(QueryPreAttnScalar ?? HeadDim) : 0;

    /// <summary>Width of all query heads.</summary>
    public int QuerySize => checked(NumAttentionHeads * HeadDim);

    /// <summary>Width of all key (or value) heads.</summary>
    public int KeyValueSize => checked(NumKeyValueHeads * HeadDim);

    /// <summary>A layer's own kind of attention.</summary>
    public LayerAttention AttentionOf(int layer)
    {
        var slides = SlidingWindow is not null && SlidingLayers?[layer] != false;
        return new LayerAttention(slides ? SlidingWindow : null, !NoRopeLayers.Contains(layer), slides && LocalRopeTheta is not null);
    }

    /// <summary>Returns whether a layer has experts and no MLP.</summary>
    public bool HasExperts(int layer) =>
        Experts is { } experts && !experts.DenseLayers.Contains(layer) && (layer + 1) % experts.SparseStep == 0;

    /// <summary>Returns whether a sequence of so many tokens is rotated by the long factors of LongRoPE.</summary>
    public bool IsLong(int tokens) =>
        RopeScaling.Type == RopeType.LongRope && tokens > (RopeScaling.OriginalMaxPositionEmbeddings ?? MaxPositionEmbeddings);

    /// <returns>
    /// For each layer whether it has the window, where the last of every <paramref name="pattern"/> has none; null where all have it.
    /// </returns>
    internal static List<bool>? WindowPattern(int layers, int pattern) =>
        pattern > 0 ? [.. Enumerable.Range(1, Math.Max(0, layers)).Select(layer => layer % pattern != 0)] : null;

    /// <returns>The last of every <paramref name="interval"/> layers.</returns>
    internal static List<int> EveryNth(int layers, int interval) =>
        [.. Enumerable.Range(0, Math.Max(0, layers)).Where(layer => interval > 0 && (layer + 1) % interval == 0)];

    public const string FileName = "config.json";

    /// <summary>Reads <c>config.json</c> of a model directory.</summary>
    /// <exception cref="InvalidInputException">The file is absent, malformed, of another architecture, or inconsistent.</exception>
    public static ModelConfiguration Load(string modelDirectory)
    {
        var path = Path.Combine(modelDirectory, FileName);
        if (!File.Exists(path))
        {
            throw new InvalidInputException(
                $"{path}: no such file; a model directory holds config.json, model.safetensors and tokenizer.json"
            );
        }

        var configuration = new ConfigurationReader(JsonField.Read(path)).Read();
        configuration.Validate(path);
        return configuration;
    }

    /// <summary>Writes <c>config.json</c> so that transformers, vLLM and llama.cpp's converter read it.</summary>
    public void Save(string modelDirectory, TensorDtype dtype = TensorDtype.Float32) =>
        JsonFile.Write(Path.Combine(modelDirectory, FileName), ConfigurationWriter.Write(this, dtype));

    /// <summary>
    /// Checks that sizes are positive, divide as they must and stay within what can be computed
    /// with, and that numbers are finite; <paramref name="origin"/> names the file or setting.
    /// Every configuration from outside passes here before anything is allocated by it.
    /// </summary>
    /// <exception cref="InvalidInputException">They do not; all problems are listed.</exception>
    public void Validate(string origin, string? expertsField = null)
    {
        var problems = ConfigurationLimits.ProblemsOf(this, expertsField ?? Traits.Experts?.CountField).ToList();
        if (problems.Count > 0)
        {
            throw new InvalidInputException($"{origin}: {string.Join("; ", problems)}");
        }
    }
}
