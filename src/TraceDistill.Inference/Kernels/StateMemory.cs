using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference.Kernels;

/// <summary>
/// What running sequences of a recurrent model keep in the processor's memory: for each layer a state and the last inputs of its
/// convolution. A page holds those of one sequence, whatever its length. Different pages may be written at once.
/// </summary>
sealed class StateMemory : IDisposable
{
    readonly NativeBuffer _pages;
    readonly int _layerFloats,
        _stateSize,
        _tailFloats,
        _layers;

    /// <param name="bytes">Memory to hold pages in; the operating system commits it as pages are first used.</param>
    /// <param name="sequences">Pages that are of use: sequences that run at once.</param>
    public StateMemory(ModelConfiguration configuration, long bytes, int sequences)
    {
        var settings = configuration.Recurrence!;
        (_layers, _stateSize) = (configuration.NumHiddenLayers, settings.StateSize);
        _tailFloats = settings.Tail * configuration.HiddenSize;
        _layerFloats = _stateSize + _tailFloats;
        PageCount = (int)Math.Clamp(bytes / PageBytes, 1, sequences);
        _pages = new NativeBuffer((long)PageCount * _layers * _layerFloats);
    }

    public int PageCount { get; }

    /// <summary>Bytes that a sequence takes.</summary>
    public long PageBytes => (long)_layers * _layerFloats * sizeof(float);

    /// <summary>The state of a layer.</summary>
    public Span<float> State(int page, int layer) => Layer(page, layer)[.._stateSize];

    /// <summary>The last inputs of a layer's convolution, the latest first.</summary>
    public Span<float> Tail(int page, int layer) => Layer(page, layer)[_stateSize..];

    /// <summary>Begins a sequence.</summary>
    public void Clear(int page, int layer) => Layer(page, layer).Clear();

    public void Dispose() => _pages.Dispose();

    Span<float> Layer(int page, int layer) => _pages.Row((page * _layers) + layer, _layerFloats, _layerFloats);
}
