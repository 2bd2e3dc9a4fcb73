namespace TraceDistill.Training.Models;

/// <summary>The matrix products of one decoder layer.</summary>
/// <param name="Qkv">Hidden states to queries, keys and values.</param>
/// <param name="Output">Attention output to the residual stream.</param>
/// <param name="GateUp">Hidden states to gate and up.</param>
/// <param name="Down">MLP activation to the residual stream.</param>
sealed record DecoderLinears(FusedLinear Qkv, FusedLinear Output, FusedLinear GateUp, FusedLinear Down)
{
    /// <summary>Last parts of the names of all linear layers of a decoder layer.</summary>
    public static readonly IReadOnlyList<string> Names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    public IEnumerable<FusedLinear> All => [Qkv, Output, GateUp, Down];

    public static DecoderLinears Of(int layer, TrainedWeights weights)
    {
        var c = weights.Model.Configuration;
        string attention = $"model.layers.{layer}.self_attn.", mlp = $"model.layers.{layer}.mlp.";
        return new DecoderLinears(
            new FusedLinear(attention, c.HiddenSize, [("q_proj", c.QuerySize), ("k_proj", c.KeyValueSize), ("v_proj", c.KeyValueSize)], weights),
            new FusedLinear(attention, c.QuerySize, [("o_proj", c.HiddenSize)], weights),
            new FusedLinear(mlp, c.HiddenSize, [("gate_proj", c.IntermediateSize), ("up_proj", c.IntermediateSize)], weights),
            new FusedLinear(mlp, c.IntermediateSize, [("down_proj", c.HiddenSize)], weights));
    }
}
