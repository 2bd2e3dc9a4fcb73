using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Generation.Kernels;
using TraceDistill.Training.Kernels;
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
        _embedding = new NativeBuffer(embedding);
        Layers = [.. Enumerable.Range(0, c.NumHiddenLayers).Select(i => new DecoderLayer(parameters, $"model.layers.{i}."))];
        FinalNorm = new NativeBuffer(parameters.Values("model.norm.weight"));
        Head = new PackedMatrix(c.TieWordEmbeddings ? embedding : parameters.Values("lm_head.weight"), c.HiddenSize);
        Rotary = new RotaryKernel(c);
    }

    public ModelConfiguration Configuration { get; }

    public IReadOnlyList<DecoderLayer> Layers { get; }

    /// <summary>[D]</summary>
    public NativeBuffer FinalNorm { get; }

    /// <summary>Hidden state to logits.</summary>
    public PackedMatrix Head { get; }

    public RotaryKernel Rotary { get; }

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
        FinalNorm.Dispose();
        Head.Dispose();
        foreach (var layer in Layers)
        {
            layer.Dispose();
        }
    }
}
