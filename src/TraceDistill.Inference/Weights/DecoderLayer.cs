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
        MixerNorm = isAfter ? null : source.ReadNorm(prefix + "input_layernorm.weight");
        AfterMixer = isBefore ? null : source.ReadNorm(prefix + "post_attention_layernorm.weight");
        FeedForwardNorm = isAfter
            ? null
            : source.ReadNorm(prefix + (isBefore ? "post_attention_layernorm.weight" : "pre_feedforward_layernorm.weight"));
        AfterFeedForward = isBefore ? null : source.ReadNorm(prefix + "post_feedforward_layernorm.weight");
        Attention = c.Recurrence is null ? new AttentionMatrices(source, index) : null;
        Recurrence = c.Recurrence is null ? null : new RecurrenceMatrices(source, index);
        var mixer = prefix + (c.Recurrence is null ? "self_attn" : "mixer");
        MixerOutput = source.ReadMatrix(mixer + ".o_proj.weight");
        MixerOutputBias = c.AttentionBias ? source.ReadVector(mixer + ".o_proj.bias") : null;
        if (c.HasExperts(index))
        {
            Experts = new ExpertMatrices(source, prefix);
            return;
        }

        string[] gateUp = c.Traits.FusesProjections ? ["gate_up_proj"] : ["gate_proj", "up_proj"];
        GateUp = source.ReadMatrix([.. gateUp.Select(name => $"{prefix}mlp.{name}.weight")]);
        Down = source.ReadMatrix(prefix + "mlp.down_proj.weight");
    }

    /// <summary>Null where there is a recurrence.</summary>
    public AttentionMatrices? Attention { get; }

    /// <summary>In place of attention; null where there is that.</summary>
    public RecurrenceMatrices? Recurrence { get; }

    /// <summary>[D]; null in a family without.</summary>
    public NativeBuffer? MixerNorm { get; }

    /// <summary>[D] of what attention adds; null in a family without.</summary>
    public NativeBuffer? AfterMixer { get; }

    /// <summary>Output of attention or the recurrence → hidden.</summary>
    public PackedMatrix MixerOutput { get; }

    /// <summary>[D]; null in a family without.</summary>
    public NativeBuffer? MixerOutputBias { get; }

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
            MixerNorm,
            AfterMixer,
            FeedForwardNorm,
            AfterFeedForward,
            Attention,
            Recurrence,
            MixerOutputBias,
            MixerOutput,
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
