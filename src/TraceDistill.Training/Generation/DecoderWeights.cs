using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Generation.Kernels;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Generation;

/// <summary>A model's weights in the layout that generation wants. Read-only once made, and shared by all threads.</summary>
sealed unsafe class DecoderWeights : IDisposable
{
    readonly NativeBuffer _embedding;

    public DecoderWeights(ModelParameters parameters)
    {
        Configuration = parameters.Configuration;
        var c = Configuration;
        var embedding = parameters.Values("model.embed_tokens.weight");
        _embedding = new NativeBuffer(embedding.Length);
        embedding.CopyTo(new Span<float>(_embedding.Pointer, embedding.Length));
        Layers = [.. Enumerable.Range(0, c.NumHiddenLayers).Select(i => new DecoderLayer(parameters, $"model.layers.{i}."))];
        FinalNorm = new RmsNorm(parameters.Values("model.norm.weight"), c.RmsNormEps);
        Head = new PackedMatrix(c.TieWordEmbeddings ? embedding : parameters.Values("lm_head.weight"), c.HiddenSize);
        Rotary = new RotaryTable(c.MaxPositionEmbeddings, c.HeadDim, c.RopeTheta);
    }

    public ModelConfiguration Configuration { get; }

    public IReadOnlyList<DecoderLayer> Layers { get; }

    public RmsNorm FinalNorm { get; }

    /// <summary>Hidden state to logits.</summary>
    public PackedMatrix Head { get; }

    public RotaryTable Rotary { get; }

    /// <exception cref="Core.Errors.InvalidInputException">The directory does not hold a model that this program can run.</exception>
    public static DecoderWeights Load(string modelDirectory)
    {
        using var parameters = ModelDirectory.Load(modelDirectory);
        return new DecoderWeights(parameters);
    }

    /// <summary>[HiddenSize] embedding of a token.</summary>
    public ReadOnlySpan<float> Embedding(int token) => new(_embedding.Pointer + (long)token * Configuration.HiddenSize, Configuration.HiddenSize);

    public void Dispose()
    {
        _embedding.Dispose();
        Head.Dispose();
        foreach (var layer in Layers)
        {
            layer.Dispose();
        }
    }
}
