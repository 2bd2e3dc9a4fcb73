using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Batching;
using static TorchSharp.torch;

namespace TraceDistill.Benchmarks;

// B = sequences, T = tokens of each, M = trained tokens, K = soft targets, V = vocabulary

/// <summary>
/// The same model and loss as anyone would write them with TorchSharp: primitive operations, all logits at once, autograd.
/// </summary>
sealed class EagerDecoder : IDisposable
{
    readonly ModelConfiguration _shape;
    readonly Dictionary<string, Tensor> _weights;
    readonly Dictionary<string, (Tensor A, Tensor B)> _adapters = [];

    /// <param name="parameters">Copied.</param>
    /// <param name="rank">Of adapters beside every linear layer, over weights that are frozen; 0 trains all weights.</param>
    public EagerDecoder(ModelParameters parameters, int rank = 0)
    {
        _shape = parameters.Configuration;
        _weights = parameters.Names.ToDictionary(
            name => name,
            name => tensor(parameters.Values(name).ToArray(), parameters.ShapeOf(name), requires_grad: rank == 0).DetachFromDisposeScope()
        );
        foreach (var name in rank == 0 ? [] : parameters.Names.Where(name => name.EndsWith("_proj.weight", StringComparison.Ordinal)))
        {
            var (outputs, inputs) = (parameters.ShapeOf(name)[0], parameters.ShapeOf(name)[1]);
            _adapters.Add(
                name,
                (
                    randn(rank, inputs, requires_grad: true).DetachFromDisposeScope(),
                    zeros(outputs, rank, requires_grad: true).DetachFromDisposeScope()
                )
            );
        }
    }

    /// <summary>
    /// Adds the gradient of a micro-batch of equally long sequences: 0.9 · KL over top-k and tail + 0.1 · CE, summed over tokens.
    /// </summary>
    public void Accumulate(PackedBatch batch)
    {
        using var scope = NewDisposeScope();
        var hidden = Forward(tensor(batch.Ids, dtype: ScalarType.Int64).reshape(batch.Lengths.Length, batch.Lengths[0]));
        var states = hidden.reshape(-1, _shape.HiddenSize).index_select(0, tensor(batch.Rows, dtype: ScalarType.Int64));
        var logits = nn.functional.linear(states, Of(_shape.TieWordEmbeddings ? "model.embed_tokens" : "lm_head")); // [M, V]
        var normalizer = logits.logsumexp(-1, keepdim: true);
        var hard = normalizer.squeeze(-1) - logits.gather(1, tensor(batch.Targets, dtype: ScalarType.Int64).unsqueeze(1)).squeeze(1);
        var k = batch.SoftIds.Length / batch.Targets.Length;
        var teacher = tensor(batch.SoftLogprobs).reshape(-1, k);
        var student = logits.gather(1, tensor(batch.SoftIds, dtype: ScalarType.Int64).reshape(-1, k)) - normalizer; // [M, K]
        var rest = log1p(-student.exp().sum(-1).clamp(0, 1 - 1e-6));
        var tail = tensor(batch.Tails);
        var soft = (teacher.exp() * (teacher - student)).sum(-1) + (tail.exp() * (tail - rest));
        ((0.9 * soft) + (0.1 * hard)).sum().backward();
    }

    public void Dispose()
    {
        foreach (var weight in _weights.Values.Concat(_adapters.Values.SelectMany(pair => new[] { pair.A, pair.B })))
        {
            weight.Dispose();
        }
    }

    /// <summary>x·Wᵀ, and with adapters 2·(x·Aᵀ)·Bᵀ beside it.</summary>
    Tensor Linear(Tensor x, string name)
    {
        var y = nn.functional.linear(x, Of(name));
        return _adapters.TryGetValue(name + ".weight", out var adapter)
            ? y + (2 * nn.functional.linear(nn.functional.linear(x, adapter.A), adapter.B))
            : y;
    }

    Tensor Of(string name) => _weights[name + ".weight"];

    Tensor Forward(Tensor ids)
    {
        long count = ids.shape[0],
            length = ids.shape[1];
        int heads = _shape.NumAttentionHeads,
            keyHeads = _shape.NumKeyValueHeads,
            d = _shape.HeadDim;
        var angles = outer(arange(length, dtype: ScalarType.Float32), pow(10_000.0, -arange(0, d, 2, dtype: ScalarType.Float32) / d));
        var (cosine, sine) = (cat([angles, angles], 1).cos(), cat([angles, angles], 1).sin());
        var x = Of("model.embed_tokens").index_select(0, ids.reshape(-1)).reshape(count, length, _shape.HiddenSize);
        for (var layer = 0; layer < _shape.NumHiddenLayers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            var normed = Norm(x, prefix + "input_layernorm");
            var q = Rotate(Heads(Linear(normed, prefix + "self_attn.q_proj"), heads));
            var k = Rotate(Heads(Linear(normed, prefix + "self_attn.k_proj"), keyHeads)).repeat_interleave(heads / keyHeads, 1);
            var v = Heads(Linear(normed, prefix + "self_attn.v_proj"), keyHeads).repeat_interleave(heads / keyHeads, 1);
            var attended = nn
                .functional.scaled_dot_product_attention(q, k, v, is_casual: true)
                .transpose(1, 2)
                .reshape(count, length, heads * d);
            x = x + Linear(attended, prefix + "self_attn.o_proj");
            normed = Norm(x, prefix + "post_attention_layernorm");
            var gate = nn.functional.silu(Linear(normed, prefix + "mlp.gate_proj"));
            x = x + Linear(gate * Linear(normed, prefix + "mlp.up_proj"), prefix + "mlp.down_proj");
        }

        return Norm(x, "model.norm");

        Tensor Heads(Tensor y, int n) => y.reshape(count, length, n, d).transpose(1, 2);

        Tensor Rotate(Tensor y) => (y * cosine) + (cat([-y.narrow(-1, d / 2, d / 2), y.narrow(-1, 0, d / 2)], -1) * sine);
    }

    Tensor Norm(Tensor x, string name) => x * (x.pow(2).mean([-1], keepdim: true) + _shape.RmsNormEps).rsqrt() * Of(name);
}
