using TorchSharp;
using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Inference;

/// <summary>Generation by the <see cref="Decoder"/> that is trained, on any device, in the precision of the checkpoint.</summary>
sealed class TensorModel : IGenerationModel
{
    readonly IDecoderWeights _weights;
    readonly KeyValuePages? _pages;
    readonly RecurrentStates? _states;
    readonly ScalarType _activations;

    /// <param name="weights">Owned by this object from now on, and moved to the device.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="options">Memory of the cache.</param>
    public TensorModel(IDecoderWeights weights, Device device, EngineOptions options)
    {
        _weights = weights;
        Pictures = PictureReader.Of(Configuration, (name, values) => weights.Read(name, 0, values));
        weights.MoveTo(device);
        _activations = ActivationsOf(weights.Configuration, weights.Dtype, device.type);
        if (Configuration.Recurrence is null)
        {
            var pageBytes = KeyValuePages.PageBytes(Configuration, PagePool.PageTokens, _activations);
            Pages = new PagePool(PagePool.CountFor(options.CacheBytes, options.LongestSequence, pageBytes));
            _pages = new KeyValuePages(Configuration, Pages.Count, PagePool.PageTokens, _activations, device);
        }
        else
        {
            var places = options.CacheBytes / RecurrentStates.PlaceBytes(Configuration, _activations);
            Pages = new PagePool((int)Math.Clamp(places, 1, options.MaxRunning), PagePool.AnyLength);
            _states = new RecurrentStates(Configuration, Pages.Count, _activations, device);
        }
    }

    public ModelConfiguration Configuration => _weights.Configuration;

    public PagePool Pages { get; }

    public PictureReader? Pictures { get; }

    public int Workers => 1;

    /// <summary>
    /// What is computed in between products. In a checkpoint's own 16 bits, products read its matrices as they are; in float32, which
    /// is what the processor is fast in, they widen a stretch of rows at a time.
    /// </summary>
    internal static ScalarType ActivationsOf(ModelConfiguration configuration, TensorDtype weights, DeviceType device) =>
        device == DeviceType.CPU ? ScalarType.Float32
        : weights == TensorDtype.BFloat16 ? ScalarType.BFloat16
        // Gemma's residual stream, which begins √hidden_size times as large, outgrows float16's 65,504.
        : weights == TensorDtype.Float16 && !configuration.Traits.ScalesEmbedding ? ScalarType.Float16
        : ScalarType.Float32;

    public IDecoderPass NewPass(int maxRows)
    {
        var decoder = new Decoder(TrainedWeights.None(_weights), activations: _activations);
        return _pages is null ? new TensorPass(decoder, _states!) : new TensorPass(decoder, _pages);
    }

    public void Dispose()
    {
        _pages?.Dispose();
        _states?.Dispose();
        Pictures?.Dispose();
        _weights.Dispose();
    }
}
