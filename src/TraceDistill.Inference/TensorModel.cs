using TorchSharp;
using TraceDistill.Inference.Kernels;
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
    readonly RoundedMatrices? _rounded;
    readonly KeyValuePages _pages;
    readonly ScalarType _activations;

    /// <param name="weights">Owned by this object from now on, and moved to the device.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="options">Memory of the cache.</param>
    public TensorModel(IDecoderWeights weights, Device device, EngineOptions options)
    {
        _weights = weights;
        weights.MoveTo(device);
        // Matrices of 16 bits are multiplied as such where that is fast; the processor widens them.
        var isNarrow = weights.Dtype != TensorDtype.Float32 && device.type != DeviceType.CPU;
        _rounded = isNarrow ? new RoundedMatrices(weights) : null;
        _activations = isNarrow ? ScalarType.BFloat16 : ScalarType.Float32;
        var pageBytes = KeyValuePages.PageBytes(weights.Configuration, PagePool.PageTokens, _activations);
        PageCount = PagePool.CountFor(options.CacheBytes, options.LongestSequence, pageBytes);
        _pages = new KeyValuePages(weights.Configuration, PageCount, PagePool.PageTokens, _activations, device);
    }

    public ModelConfiguration Configuration => _weights.Configuration;

    public int PageCount { get; }

    public int Workers => 1;

    public IDecoderPass NewPass(int maxRows) =>
        new TensorPass(new Decoder(TrainedWeights.None(_weights), rounded: _rounded, activations: _activations), _pages);

    public void Dispose()
    {
        _pages.Dispose();
        _rounded?.Dispose();
        _weights.Dispose();
    }
}
