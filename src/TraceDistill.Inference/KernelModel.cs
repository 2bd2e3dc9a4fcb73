using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference;

/// <summary>Generation by the processor's own kernels, in float32 from weights in the precision of their checkpoint.</summary>
sealed class KernelModel : IGenerationModel
{
    readonly DecoderWeights _weights;
    readonly EngineOptions _options;
    readonly KeyValueCache? _cache;
    readonly StateMemory? _states;

    /// <param name="weights">Owned by this object.</param>
    public KernelModel(DecoderWeights weights, EngineOptions options)
    {
        (_weights, _options) = (weights, options);
        if (Configuration.Recurrence is null)
        {
            _cache = new KeyValueCache(Configuration, options.CacheBytes, options.LongestSequence);
            Pages = new PagePool(_cache.PageCount);
        }
        else
        {
            _states = new StateMemory(Configuration, options.CacheBytes, options.MaxRunning);
            Pages = new PagePool(_states.PageCount, PagePool.AnyLength);
        }
    }

    public ModelConfiguration Configuration => _weights.Configuration;

    public PagePool Pages { get; }

    public PictureReader? Pictures => _weights.Pictures;

    public int Workers => _options.Threads;

    public IDecoderPass NewPass(int maxRows) =>
        new KernelPass(
            _weights,
            _cache is null ? new RecurrentPass(_weights, _states!, maxRows) : new AttentionPass(_weights, _cache, maxRows),
            maxRows,
            _options.EarlyExit
        );

    public void Dispose()
    {
        _cache?.Dispose();
        _states?.Dispose();
        _weights.Dispose();
    }
}
