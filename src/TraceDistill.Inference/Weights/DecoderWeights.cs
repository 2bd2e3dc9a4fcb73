using TraceDistill.Inference.Kernels;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Text.Errors;

namespace TraceDistill.Inference.Weights;

/// <summary>
/// A model's weights in the layout that generation wants, matrices in the precision of their
/// checkpoint. Read-only once made, and shared by all threads.
/// </summary>
sealed class DecoderWeights : IDisposable
{
    const string EmbeddingName = "model.embed_tokens.weight";

    /// <summary>Null where the output projection is the embedding.</summary>
    readonly PackedMatrix? _embedding;
    readonly Dictionary<(bool IsLocal, bool IsLong), RotaryKernel> _rotary;

    public DecoderWeights(IWeightSource source)
    {
        Configuration = source.Configuration;
        var c = Configuration;
        Layers = [.. Enumerable.Range(0, c.NumHiddenLayers).Select(i => new DecoderLayer(source, i))];
        FinalNorm = source.ReadNorm("model.norm.weight");
        Head = source.ReadMatrix(c.TieWordEmbeddings ? EmbeddingName : "lm_head.weight");
        _embedding = c.TieWordEmbeddings ? null : source.ReadMatrix(EmbeddingName);
        Pictures = PictureReader.Of(c, (name, values) => source.ReadValues(name, values));
        var kinds = Layers.Select(layer => layer.Attention).OfType<AttentionMatrices>().Select(Kind).Distinct().ToList();
        _rotary = kinds
            .Concat(c.RopeScaling.Type == RopeType.LongRope ? kinds.Select(kind => (kind.IsLocal, IsLong: true)) : [])
            .ToDictionary(kind => kind, kind => new RotaryKernel(c, kind.IsLocal, kind.IsLong));

        static (bool IsLocal, bool IsLong) Kind(AttentionMatrices attention) => (attention.Kind.IsLocal, false);
    }

    public ModelConfiguration Configuration { get; }

    public IReadOnlyList<DecoderLayer> Layers { get; }

    /// <summary>[D]</summary>
    public NativeBuffer FinalNorm { get; }

    /// <summary>Hidden state to logits.</summary>
    public PackedMatrix Head { get; }

    /// <summary>Makes the vectors of pictures; null for a model that reads text alone.</summary>
    public PictureReader? Pictures { get; }

    /// <param name="isLong">True where the sequence is long in the sense of <see cref="ModelConfiguration.IsLong"/>.</param>
    public RotaryKernel Rotary(AttentionMatrices layer, bool isLong) => _rotary[(layer.Kind.IsLocal, isLong)];

    /// <exception cref="InvalidInputException">The directory does not hold a model that this program can run.</exception>
    public static DecoderWeights Load(string modelDirectory)
    {
        var (configuration, files) = ModelDirectory.Open(modelDirectory);
        using (files)
        {
            return new DecoderWeights(new CheckpointSource(configuration, files));
        }
    }

    /// <summary>Writes the embedding of a token, [D].</summary>
    public void Embed(int token, Span<float> hidden)
    {
        (_embedding ?? Head).Unpack(token, hidden);
        if (Configuration.Traits.ScalesEmbedding)
        {
            System.Numerics.Tensors.TensorPrimitives.Multiply(hidden, MathF.Sqrt(hidden.Length), hidden);
        }
    }

    public void Dispose()
    {
        _embedding?.Dispose();
        Pictures?.Dispose();
        FinalNorm.Dispose();
        Head.Dispose();
        foreach (var layer in Layers)
        {
            layer.Dispose();
        }
    }
}
