using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference;

/// <summary>A model ready to generate: its weights, and room for keys and values, or states.</summary>
interface IGenerationModel : IDisposable
{
    ModelConfiguration Configuration { get; }

    /// <summary>The room for what it keeps of sequences.</summary>
    PagePool Pages { get; }

    /// <summary>Threads that it is worth to have passes of their own.</summary>
    int Workers { get; }

    /// <summary>Makes the vectors of pictures; null for a model that reads text alone.</summary>
    PictureReader? Pictures { get; }

    /// <param name="maxRows">The most rows of one batch.</param>
    IDecoderPass NewPass(int maxRows);
}
