using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference;

/// <summary>Generation by the processor's own kernels, in float32 from weights in the precision of their checkpoint.</summary>
sealed class KernelModel(DecoderWeights weights, EngineOptions options) : IGenerationModel
{
    readonly KeyValueCache _cache = new(weights.Configuration, options.CacheBytes, options.LongestSequence);

    public ModelConfiguration Configuration => weights.Configuration;

    public int PageCount => _cache.PageCount;

    public int Workers => options.Threads;

    public IDecoderPass NewPass(int maxRows) => new KernelPass(weights, _cache, maxRows);

    public void Dispose()
    {
        _cache.Dispose();
        weights.Dispose();
    }
}
