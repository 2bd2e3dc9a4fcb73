using TraceDistill.Models.Configuration;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// P = pages, S = positions of a page, G = key heads, d = channels of a head

/// <summary>
/// Keys and values of running sequences on a device, in pages that sequences rent: memory is bounded, and any page may follow any other.
/// </summary>
public sealed class KeyValuePages : IDisposable
{
    readonly Tensor[] _keys,
        _values;

    /// <param name="configuration">The model's.</param>
    /// <param name="pages">P.</param>
    /// <param name="pageTokens">S.</param>
    /// <param name="dtype">Of keys and values: that of the model's activations.</param>
    public KeyValuePages(ModelConfiguration configuration, int pages, int pageTokens, ScalarType dtype, Device device)
    {
        PageTokens = pageTokens;
        _keys = [.. Enumerable.Range(0, configuration.NumHiddenLayers).Select(_ => Memory())];
        _values = [.. Enumerable.Range(0, configuration.NumHiddenLayers).Select(_ => Memory())];

        Tensor Memory() =>
            zeros([pages, pageTokens, configuration.NumKeyValueHeads, configuration.HeadDim], dtype: dtype, device: device)
                .DetachFromDisposeScope();
    }

    /// <summary>S.</summary>
    public int PageTokens { get; }

    /// <summary>[P, S, G, d] by layer.</summary>
    internal IReadOnlyList<Tensor> Keys => _keys;

    /// <summary>[P, S, G, d] by layer.</summary>
    internal IReadOnlyList<Tensor> Values => _values;

    /// <summary>Bytes of one page of a model.</summary>
    public static long PageBytes(ModelConfiguration configuration, int pageTokens, ScalarType dtype) =>
        2L
        * configuration.NumHiddenLayers
        * configuration.KeyValueSize
        * pageTokens
        * (dtype == ScalarType.Float32 ? sizeof(float) : sizeof(ushort));

    public void Dispose()
    {
        foreach (var memory in _keys.Concat(_values))
        {
            memory.Dispose();
        }
    }
}
