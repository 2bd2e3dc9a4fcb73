using TraceDistill.Core.Errors;
using TraceDistill.Training.Kernels;

namespace TraceDistill.Training.Models;

/// <summary>
/// What one thread's forward pass keeps for its backward pass; allocated once and grown to the largest batch. With gradient checkpointing (Chen et
/// al., arXiv 1604.06174) that is the input of each layer; all else is there once, for the layer at hand. N = tokens, M = those whose hidden states
/// are wanted.
/// </summary>
sealed class Activations : IDisposable
{
    readonly ModelConfiguration _shape;
    readonly List<FloatBuffer> _owned = [];

    /// <param name="isCheckpointed">Whether layers share all but their inputs.</param>
    public Activations(ModelConfiguration shape, bool isCheckpointed)
    {
        (_shape, IsCheckpointed) = (shape, isCheckpointed);
        Attention = new AttentionKernel(shape);
    }

    public AttentionKernel Attention { get; }

    public bool IsCheckpointed { get; }

    /// <summary>Bytes of all that is kept.</summary>
    public long Bytes => _owned.Sum(buffer => buffer.Count) * sizeof(float);

    /// <summary>Tokens there is room for.</summary>
    public int Capacity { get; private set; }

    public Layer[] Layers { get; private set; } = [];

    /// <summary>[M, D] the residual stream after the last layer.</summary>
    public FloatBuffer Last { get; private set; } = null!;

    /// <summary>[M] 1 / root mean square of <see cref="Last"/>.</summary>
    public FloatBuffer LastInverse { get; private set; } = null!;

    /// <summary>[M, Q] attention output of the last layer at the wanted tokens; in the backward pass [N, Q], its gradient.</summary>
    public FloatBuffer Selected { get; private set; } = null!;

    /// <summary>[M, D] normalised output of the model.</summary>
    public FloatBuffer Hidden { get; private set; } = null!;

    /// <summary>[M, D] gradient of <see cref="Hidden"/>: filled by the loss, used up by the backward pass, which has [N, D] of its own in it.</summary>
    public FloatBuffer HiddenGradient { get; private set; } = null!;

    /// <summary>[N, D] gradient of the residual stream.</summary>
    public FloatBuffer ResidualGradient { get; private set; } = null!;

    /// <summary>[N, widest] gradient of whatever is being passed back.</summary>
    public FloatBuffer Scratch { get; private set; } = null!;

    /// <summary>[N, Q + 2·KV] gradient of queries, keys and values.</summary>
    public FloatBuffer QkvGradient { get; private set; } = null!;

    /// <returns>Whether there was too little room.</returns>
    public bool Reserve(int tokens)
    {
        if (tokens <= Capacity)
        {
            return false;
        }

        var widest = Math.Max(_shape.QuerySize + 2L * _shape.KeyValueSize, Math.Max(2L * _shape.IntermediateSize, _shape.HiddenSize));
        if ((tokens + 127L) * widest > int.MaxValue)
        {
            throw new InvalidInputException(
                $"{tokens:N0} tokens in one pass of a model {widest:N0} wide are more than {int.MaxValue:N0} activations; lower max_length or micro_batch_tokens");
        }

        Release();
        Capacity = Projection.Pad(tokens);
        var first = NewLayer();
        Layers = [first, .. Enumerable.Range(1, _shape.NumHiddenLayers - 1).Select(_ => IsCheckpointed ? first with { Input = Rows(_shape.HiddenSize) } : NewLayer())];
        Selected = Rows(_shape.QuerySize);
        Last = Rows(_shape.HiddenSize);
        LastInverse = Rows(1);
        Hidden = Rows(_shape.HiddenSize);
        HiddenGradient = Rows(_shape.HiddenSize);
        ResidualGradient = Rows(_shape.HiddenSize);
        Scratch = Rows(Math.Max(Math.Max(_shape.HiddenSize, _shape.QuerySize), _shape.IntermediateSize));
        QkvGradient = Rows(_shape.QuerySize + 2 * _shape.KeyValueSize);
        return true;
    }

    public void Dispose()
    {
        Release();
        Attention.Dispose();
    }

    Layer NewLayer() => new(
        Input: Rows(_shape.HiddenSize),
        InputInverse: Rows(1),
        AttentionInput: Rows(_shape.HiddenSize),
        Qkv: Rows(_shape.QuerySize + 2 * _shape.KeyValueSize),
        RawHeads: Rows(_shape.HasQueryKeyNorm ? HeadNormKernel.Rotated(_shape) : 0),
        HeadInverse: Rows(_shape.HasQueryKeyNorm ? HeadNormKernel.Heads(_shape) : 0),
        LogSumExp: Rows(_shape.NumAttentionHeads),
        AttentionOutput: Rows(_shape.QuerySize),
        Middle: Rows(_shape.HiddenSize),
        MiddleInverse: Rows(1),
        MlpInput: Rows(_shape.HiddenSize),
        GateUp: Rows(2 * _shape.IntermediateSize),
        MlpActivation: Rows(_shape.IntermediateSize));

    FloatBuffer Rows(int width)
    {
        var buffer = new FloatBuffer((long)Capacity * width);
        _owned.Add(buffer);
        return buffer;
    }

    void Release()
    {
        _owned.ForEach(buffer => buffer.Dispose());
        _owned.Clear();
    }

    /// <summary>
    /// One layer's share. N = tokens (in the last layer, from <paramref name="Middle"/> on, only the wanted ones), Q = query width, KV = key
    /// width, F = intermediate size.
    /// </summary>
    /// <param name="Input">[N, D] residual stream before the layer.</param>
    /// <param name="InputInverse">[N] its 1 / root mean square.</param>
    /// <param name="AttentionInput">[N, D] normalised.</param>
    /// <param name="Qkv">[N, Q + 2·KV] rotated queries and keys, values.</param>
    /// <param name="RawHeads">[N, Q + KV] queries and keys before their norm; empty where they have none.</param>
    /// <param name="HeadInverse">[N, heads of queries and keys] their 1 / root mean square; empty where they have no norm.</param>
    /// <param name="LogSumExp">[N, heads] of the attention scores.</param>
    /// <param name="AttentionOutput">[N, Q].</param>
    /// <param name="Middle">[N, D] residual stream between attention and MLP.</param>
    /// <param name="MiddleInverse">[N] its 1 / root mean square.</param>
    /// <param name="MlpInput">[N, D] normalised.</param>
    /// <param name="GateUp">[N, 2·F]; overwritten by its gradient in the backward pass.</param>
    /// <param name="MlpActivation">[N, F].</param>
    internal sealed record Layer(
        FloatBuffer Input,
        FloatBuffer InputInverse,
        FloatBuffer AttentionInput,
        FloatBuffer Qkv,
        FloatBuffer RawHeads,
        FloatBuffer HeadInverse,
        FloatBuffer LogSumExp,
        FloatBuffer AttentionOutput,
        FloatBuffer Middle,
        FloatBuffer MiddleInverse,
        FloatBuffer MlpInput,
        FloatBuffer GateUp,
        FloatBuffer MlpActivation);
}
