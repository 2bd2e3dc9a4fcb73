using TraceDistill.Inference.Kernels;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference.Weights;

/// <summary>One layer's weights; products that share an input are one matrix, and norms hold what is multiplied by.</summary>
sealed class DecoderLayer : IDisposable
{
    /// <param name="source">Gives the weights.</param>
    /// <param name="index">Of the layer, from 0.</param>
    public DecoderLayer(IWeightSource source, int index)
    {
        var (c, prefix) = (source.Configuration, $"model.layers.{index}.");
        var (isBefore, isAfter) = (c.Traits.Norms == NormPlacement.Before, c.Traits.Norms == NormPlacement.After);
        Attention = c.AttentionOf(index);
        AttentionNorm = isAfter ? null : source.ReadNorm(prefix + "input_layernorm.weight");
        AfterAttention = isBefore ? null : source.ReadNorm(prefix + "post_attention_layernorm.weight");
        FeedForwardNorm = isAfter
            ? null
            : source.ReadNorm(prefix + (isBefore ? "post_attention_layernorm.weight" : "pre_feedforward_layernorm.weight"));
        AfterFeedForward = isBefore ? null : source.ReadNorm(prefix + "post_feedforward_layernorm.weight");
        string[] projections = c.Traits.FusesProjections ? ["qkv_proj"] : ["q_proj", "k_proj", "v_proj"];
        QueryKeyValue = source.ReadMatrix([.. projections.Select(name => $"{prefix}self_attn.{name}.weight")]);
        AttentionOutput = source.ReadMatrix(prefix + "self_attn.o_proj.weight");
        QueryKeyValueBias = c.HasQueryKeyValueBias
            ? source.ReadVector([.. projections.Select(name => $"{prefix}self_attn.{name}.bias")])
            : null;
        AttentionOutputBias = c.AttentionBias ? source.ReadVector(prefix + "self_attn.o_proj.bias") : null;
        QueryNorm = c.HasQueryKeyNorm ? source.ReadNorm(prefix + "self_attn.q_norm.weight") : null;
        KeyNorm = c.HasQueryKeyNorm ? source.ReadNorm(prefix + "self_attn.k_norm.weight") : null;
        if (c.HasExperts(index))
        {
            Experts = new ExpertMatrices(source, prefix);
            return;
        }

        string[] gateUp = c.Traits.FusesProjections ? ["gate_up_proj"] : ["gate_proj", "up_proj"];
        GateUp = source.ReadMatrix([.. gateUp.Select(name => $"{prefix}mlp.{name}.weight")]);
        Down = source.ReadMatrix(prefix + "mlp.down_proj.weight");
    }

    /// <summary>The layer's own kind of attention.</summary>
    public LayerAttention Attention { get; }

    /// <summary>[D]; null in a family without.</summary>
    public NativeBuffer? AttentionNorm { get; }

    /// <summary>[D] of what attention adds; null in a family without.</summary>
    public NativeBuffer? AfterAttention { get; }

    /// <summary>Hidden → [queries | keys | values].</summary>
    public PackedMatrix QueryKeyValue { get; }

    /// <summary>[queries + keys + values]; null in a family without.</summary>
    public NativeBuffer? QueryKeyValueBias { get; }

    /// <summary>[channels of a head], or of all query heads; null in a family without.</summary>
    public NativeBuffer? QueryNorm { get; }

    /// <summary>[channels of a head], or of all key heads; null in a family without.</summary>
    public NativeBuffer? KeyNorm { get; }

    public PackedMatrix AttentionOutput { get; }

    /// <summary>[D]; null in a family without.</summary>
    public NativeBuffer? AttentionOutputBias { get; }

    /// <summary>[D]; null in a family without.</summary>
    public NativeBuffer? FeedForwardNorm { get; }

    /// <summary>[D] of what the MLP adds; null in a family without.</summary>
    public NativeBuffer? AfterFeedForward { get; }

    /// <summary>Hidden → [gate | up]; null where there are experts.</summary>
    public PackedMatrix? GateUp { get; }

    /// <summary>Null where there are experts.</summary>
    public PackedMatrix? Down { get; }

    /// <summary>In place of an MLP; null where there is one.</summary>
    public ExpertMatrices? Experts { get; }

    public void Dispose()
    {
        IDisposable?[] all =
        [
            AttentionNorm,
            AfterAttention,
            FeedForwardNorm,
            AfterFeedForward,
            QueryKeyValue,
            QueryKeyValueBias,
            QueryNorm,
            KeyNorm,
            AttentionOutputBias,
            AttentionOutput,
            GateUp,
            Down,
            Experts,
        ];
        foreach (var part in all)
        {
            part?.Dispose();
        }
    }
}
