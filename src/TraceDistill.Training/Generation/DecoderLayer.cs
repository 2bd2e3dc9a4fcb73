using TraceDistill.Training.Generation.Kernels;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Generation;

/// <summary>One layer's weights; products that share an input are one matrix.</summary>
sealed unsafe class DecoderLayer : IDisposable
{
    /// <param name="prefix">Of the weights' names, such as <c>model.layers.0.</c></param>
    public DecoderLayer(ModelParameters parameters, string prefix)
    {
        var c = parameters.Configuration;
        AttentionNorm = new NativeBuffer(parameters.Values(prefix + "input_layernorm.weight"));
        FeedForwardNorm = new NativeBuffer(parameters.Values(prefix + "post_attention_layernorm.weight"));
        QueryKeyValue = Pack("self_attn.q_proj.weight", c.QuerySize + 2 * c.KeyValueSize, c.HiddenSize);
        AttentionOutput = Pack("self_attn.o_proj.weight", c.HiddenSize, c.QuerySize);
        if (c.HasQueryKeyValueBias)
        {
            // k's and v's follow q's.
            QueryKeyValueBias = new NativeBuffer(new ReadOnlySpan<float>(parameters.Flat.Pointer + parameters.OffsetOf(prefix + "self_attn.q_proj.bias"), c.QuerySize + 2 * c.KeyValueSize));
        }

        if (c.AttentionBias)
        {
            AttentionOutputBias = new NativeBuffer(parameters.Values(prefix + "self_attn.o_proj.bias"));
        }

        if (c.HasQueryKeyNorm)
        {
            QueryNorm = new NativeBuffer(parameters.Values(prefix + "self_attn.q_norm.weight"));
            KeyNorm = new NativeBuffer(parameters.Values(prefix + "self_attn.k_norm.weight"));
        }

        GateUp = Pack("mlp.gate_proj.weight", 2 * c.IntermediateSize, c.HiddenSize);
        Down = Pack("mlp.down_proj.weight", c.HiddenSize, c.IntermediateSize);

        // q, k, v lie one after the other in the parameters, and so do gate and up.
        PackedMatrix Pack(string first, int outputs, int inputs) =>
            new(new ReadOnlySpan<float>(parameters.Flat.Pointer + parameters.OffsetOf(prefix + first), outputs * inputs), inputs);
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
