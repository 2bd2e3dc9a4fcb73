using TraceDistill.Training.Generation.Kernels;

namespace TraceDistill.Training.Generation;

/// <summary>One layer's weights; products that share an input are one matrix.</summary>
sealed class DecoderLayer : IDisposable
{
    /// <param name="source">Gives the weights.</param>
    /// <param name="prefix">Of their names, such as <c>model.layers.0.</c></param>
    public DecoderLayer(IWeightSource source, string prefix)
    {
        var c = source.Configuration;
        AttentionNorm = source.ReadVector(prefix + "input_layernorm.weight");
        FeedForwardNorm = source.ReadVector(prefix + "post_attention_layernorm.weight");
        QueryKeyValue = source.ReadMatrix([.. Attention("q_proj.weight", "k_proj.weight", "v_proj.weight")]);
        AttentionOutput = source.ReadMatrix(prefix + "self_attn.o_proj.weight");
        QueryKeyValueBias = c.HasQueryKeyValueBias ? source.ReadVector([.. Attention("q_proj.bias", "k_proj.bias", "v_proj.bias")]) : null;
        AttentionOutputBias = c.AttentionBias ? source.ReadVector(prefix + "self_attn.o_proj.bias") : null;
        QueryNorm = c.HasQueryKeyNorm ? source.ReadVector(prefix + "self_attn.q_norm.weight") : null;
        KeyNorm = c.HasQueryKeyNorm ? source.ReadVector(prefix + "self_attn.k_norm.weight") : null;
        GateUp = source.ReadMatrix(prefix + "mlp.gate_proj.weight", prefix + "mlp.up_proj.weight");
        Down = source.ReadMatrix(prefix + "mlp.down_proj.weight");

        IEnumerable<string> Attention(params string[] names) => names.Select(name => $"{prefix}self_attn.{name}");
    }

    /// <summary>[D]</summary>
    public NativeBuffer AttentionNorm { get; }

    /// <summary>Hidden → [queries | keys | values].</summary>
    public PackedMatrix QueryKeyValue { get; }

    /// <summary>[queries + keys + values]; null in a family without.</summary>
    public NativeBuffer? QueryKeyValueBias { get; }

    /// <summary>[channels of a head]; null in a family without.</summary>
    public NativeBuffer? QueryNorm { get; }

    /// <summary>[channels of a head]; null in a family without.</summary>
    public NativeBuffer? KeyNorm { get; }

    public PackedMatrix AttentionOutput { get; }

    /// <summary>[D]; null in a family without.</summary>
    public NativeBuffer? AttentionOutputBias { get; }

    /// <summary>[D]</summary>
    public NativeBuffer FeedForwardNorm { get; }

    /// <summary>Hidden → [gate | up].</summary>
    public PackedMatrix GateUp { get; }

    public PackedMatrix Down { get; }

    public void Dispose()
    {
        AttentionNorm.Dispose();
        FeedForwardNorm.Dispose();
        QueryKeyValue.Dispose();
        QueryKeyValueBias?.Dispose();
        QueryNorm?.Dispose();
        KeyNorm?.Dispose();
        AttentionOutputBias?.Dispose();
        AttentionOutput.Dispose();
        GateUp.Dispose();
        Down.Dispose();
    }
}
