using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Text.Errors;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = tokens of all sequences, M = those whose hidden states are wanted, T = tokens of one
// sequence, D = hidden, H = query heads, G = key heads, d = channels of a head

/// <summary>States that a pass is to keep for white-box distillation, by the indices of layers from 0.</summary>
public sealed record Capture
{
    /// <summary>Layers whose residual stream is kept as they leave it.</summary>
    public IReadOnlySet<int> HiddenStates { get; init; } = new HashSet<int>();

    /// <summary>Layers whose attention maps are kept: T × T numbers for each head and sequence.</summary>
    public IReadOnlySet<int> AttentionMaps { get; init; } = new HashSet<int>();

    /// <summary>Layers whose values are kept.</summary>
    public IReadOnlySet<int> Values { get; init; } = new HashSet<int>();
}

/// <summary>
/// States that a pass has kept. Where gradients are recorded, these tensors are part of the graph: a loss of theirs is to be walked back
/// together with that of the hidden states.
/// </summary>
/// <param name="wanted">Kinds to keep.</param>
public sealed class Captured(Capture wanted) : IDisposable
{
    readonly Dictionary<int, Tensor> _hiddenStates = [],
        _values = [];
    readonly Dictionary<int, IReadOnlyList<Tensor>> _maps = [];

    /// <summary>[N, D] by layer, before any final norm; [M, D] of the last layer, the wanted tokens alone.</summary>
    public IReadOnlyDictionary<int, Tensor> HiddenStates => _hiddenStates;

    /// <summary>[H, T, T] for each sequence, by layer: rows are queries and sum to 1.</summary>
    public IReadOnlyDictionary<int, IReadOnlyList<Tensor>> AttentionMaps => _maps;

    /// <summary>[N, G, d] by layer.</summary>
    public IReadOnlyDictionary<int, Tensor> Values => _values;

    public void Dispose()
    {
        foreach (var tensor in _hiddenStates.Values.Concat(_values.Values).Concat(_maps.Values.SelectMany(maps => maps)))
        {
            tensor.Dispose();
        }
    }

    /// <summary>Refuses what a model has not: a recurrence has neither attention maps nor values.</summary>
    /// <exception cref="InvalidInputException">Something of it is wanted.</exception>
    internal void Ensure(ModelConfiguration shape)
    {
        if (shape.Recurrence is not null && (wanted.AttentionMaps.Count > 0 || wanted.Values.Count > 0))
        {
            throw new InvalidInputException(
                $"a {shape.Traits.ModelType} model has no attention maps and no values: take hidden states, which every model has"
            );
        }
    }

    /// <summary>Returns whether anything inside of a layer is wanted.</summary>
    internal bool IsWithin(int layer) => wanted.AttentionMaps.Contains(layer) || wanted.Values.Contains(layer);

    internal void AddHiddenState(int layer, Tensor x)
    {
        if (wanted.HiddenStates.Contains(layer))
        {
            _hiddenStates.Add(layer, x.alias().DetachFromDisposeScope());
        }
    }

    /// <param name="qkv">[N, (H + 2·G)·d] before rotation; left as it is.</param>
    internal void AddAttention(int layer, Tensor qkv, RotaryAttention attention, TokenBatch batch, ModelConfiguration shape)
    {
        if (wanted.Values.Contains(layer))
        {
            var values = qkv.narrow(1, shape.QuerySize + shape.KeyValueSize, shape.KeyValueSize).clone();
            _values.Add(layer, values.reshape(-1, shape.NumKeyValueHeads, shape.HeadDim).DetachFromDisposeScope());
        }

        if (wanted.AttentionMaps.Contains(layer))
        {
            _maps.Add(layer, [.. attention.Maps(qkv.clone(), batch).Select(map => map.DetachFromDisposeScope())]);
        }
    }
}
