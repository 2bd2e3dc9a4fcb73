using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = tokens of all sequences, D = hidden, Q = width of query heads, KV = of key (or value) heads

/// <summary>Grouped-query attention with rotary positions, and norms of queries and keys where the family has them.</summary>
sealed class SelfAttention : ITokenMixer
{
    readonly ModelConfiguration _shape;
    readonly Norm? _queryNorm,
        _keyNorm;
    readonly Linear _qkv;
    readonly RotaryAttention _attention;
    readonly int _layer;

    /// <param name="attention">Of the layers of this kind; owned by the caller.</param>
    public SelfAttention(Parameters parameters, int layer, RotaryAttention attention)
    {
        (_shape, _layer, _attention) = (parameters.Shape, layer, attention);
        var prefix = $"model.layers.{layer}.self_attn.";
        _qkv = _shape.Traits.FusesProjections
            ? new Linear(parameters, prefix + "qkv_proj")
            : new Linear(parameters, prefix + "q_proj", prefix + "k_proj", prefix + "v_proj");
        _queryNorm = Norm.Find(parameters, prefix + "q_norm.weight");
        _keyNorm = Norm.Find(parameters, prefix + "k_norm.weight");
        Output = new Linear(parameters, prefix + "o_proj");
    }

    public Linear Output { get; }

    /// <returns>[N, Q].</returns>
    public Tensor Mix(Tensor x, PassContext pass)
    {
        var qkv = _qkv.Apply(x, pass.Noise); // [N, Q + 2·KV]
        if (_queryNorm is not null)
        {
            qkv = HeadNorm.Apply(qkv, _queryNorm.Factors(x.dtype), _keyNorm!.Factors(x.dtype), _shape);
        }

        pass.Captured?.AddAttention(_layer, qkv, _attention, pass.Batch, _shape);
        var isLast = _layer == _shape.NumHiddenLayers - 1;
        return pass.Cached is { } rows
            ? _attention.Apply(qkv, _layer, rows)
            : _attention.Apply(qkv, pass.Batch, isLast ? pass.Batch.FirstOutputs : pass.Batch.Starts, pass.Groups);
    }
}
