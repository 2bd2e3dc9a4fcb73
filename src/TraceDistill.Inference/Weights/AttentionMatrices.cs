using TraceDistill.Inference.Kernels;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference.Weights;

/// <summary>Attention of one layer, without the projection into the residual stream.</summary>
sealed class AttentionMatrices : IDisposable
{
    /// <param name="source">Gives the weights.</param>
    /// <param name="index">Of the layer, from 0.</param>
    public AttentionMatrices(IWeightSource source, int index)
    {
        var (c, prefix) = (source.Configuration, $"model.layers.{index}.self_attn.");
        Kind = c.AttentionOf(index);
        string[] projections = c.Traits.FusesProjections ? ["qkv_proj"] : ["q_proj", "k_proj", "v_proj"];
        QueryKeyValue = source.ReadMatrix([.. projections.Select(name => $"{prefix}{name}.weight")]);
        Bias = c.HasQueryKeyValueBias ? source.ReadVector([.. projections.Select(name => $"{prefix}{name}.bias")]) : null;
        QueryNorm = c.HasQueryKeyNorm ? source.ReadNorm(prefix + "q_norm.weight") : null;
        KeyNorm = c.HasQueryKeyNorm ? source.ReadNorm(prefix + "k_norm.weight") : null;
    }

    /// <summary>In what it differs from that of other layers.</summary>
    public LayerAttention Kind { get; }

    /// <summary>Hidden → [queries | keys | values].</summary>
    public PackedMatrix QueryKeyValue { get; }

    /// <summary>[queries + keys + values]; null in a family without.</summary>
    public NativeBuffer? Bias { get; }

    /// <summary>[channels of a head], or of all query heads; null in a family without.</summary>
    public NativeBuffer? QueryNorm { get; }

    /// <summary>[channels of a head], or of all key heads; null in a family without.</summary>
    public NativeBuffer? KeyNorm { get; }

    public void Dispose()
    {
        QueryKeyValue.Dispose();
        Bias?.Dispose();
        QueryNorm?.Dispose();
        KeyNorm?.Dispose();
    }
}
