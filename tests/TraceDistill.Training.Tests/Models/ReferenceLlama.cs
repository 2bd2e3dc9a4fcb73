using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Models;

/// <summary>A Llama, Qwen 2 or Qwen 3 forward pass written from the papers in plain float64 tensor operations; libtorch's autograd gives its gradient.</summary>
sealed class ReferenceLlama
{
    readonly ModelConfiguration _shape;
    readonly Dictionary<string, Tensor> _weights = [];
    readonly double _scale;

    public ReferenceLlama(ModelParameters parameters)
    {
        _shape = parameters.Configuration;
        Add(parameters);
    }

    /// <summary>With adapters beside its linear layers.</summary>
    public ReferenceLlama(LoraAdapter adapter)
        : this((ModelParameters)adapter.Model)
    {
        _scale = (double)adapter.Settings.Alpha / adapter.Settings.Rank;
        Add(adapter);
    }

    /// <summary>What dropout makes of the input of the named layer's adapter.</summary>
    public Func<string, Tensor, Tensor> Drop { get; init; } = (_, input) => input;

    /// <summary>[d/2] in place of the plain ones.</summary>
    public Tensor? Frequencies { get; init; }

    /// <summary>Of rotated queries and keys.</summary>
    public double Magnitude { get; init; } = 1;

    public Tensor Weight(string name) => _weights[name];

    public Tensor Gradient(string name) => _weights[name].grad!;

    /// <returns>[tokens, D] hidden states after the final norm.</returns>
    public Tensor Forward(int[] ids)
    {
        var x = _weights["model.embed_tokens.weight"].index_select(0, tensor(ids.Select(id => (long)id).ToArray()));
        var mask = ones(ids.Length, ids.Length, dtype: ScalarType.Bool).triu(1);
        for (var i = 0; i < _shape.NumHiddenLayers; i++)
        {
            var layer = $"model.layers.{i}.";
            var h = Norm(x, layer + "input_layernorm.weight");
            var q = Rotate(HeadNorm(Heads(h, layer + "self_attn.q_proj", _shape.NumAttentionHeads), layer + "self_attn.q_norm.weight"));
            var k = Rotate(HeadNorm(Heads(h, layer + "self_attn.k_proj", _shape.NumKeyValueHeads), layer + "self_attn.k_norm.weight"));
            var v = Heads(h, layer + "self_attn.v_proj", _shape.NumKeyValueHeads);
            var group = _shape.NumAttentionHeads / _shape.NumKeyValueHeads;
            (k, v) = (k.repeat_interleave(group, 0), v.repeat_interleave(group, 0));
            var scores = (q.matmul(k.transpose(1, 2)) / Math.Sqrt(_shape.HeadDim)).masked_fill(mask, double.NegativeInfinity);
            var attended = scores.softmax(-1).matmul(v).transpose(0, 1).reshape(ids.Length, _shape.QuerySize);
            x = x + Linear(attended, layer + "self_attn.o_proj");
            h = Norm(x, layer + "post_attention_layernorm.weight");
            var gate = Linear(h, layer + "mlp.gate_proj");
            x = x + Linear(gate * gate.sigmoid() * Linear(h, layer + "mlp.up_proj"), layer + "mlp.down_proj");
        }

        return Norm(x, "model.norm.weight");
    }

    /// <returns>[tokens, V].</returns>
    public Tensor Logits(int[] ids) =>
        Forward(ids).matmul(_weights[_shape.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"].t());

    void Add(NamedWeights weights)
    {
        foreach (var name in weights.Names)
        {
            _weights[name] = tensor(weights.Values(name).ToArray(), weights.ShapeOf(name)).to(ScalarType.Float64).requires_grad_(true);
        }
    }

    Tensor Norm(Tensor x, string weight) => x * (x.square().mean([-1], keepdim: true) + _shape.RmsNormEps).rsqrt() * _weights[weight];

    Tensor HeadNorm(Tensor heads, string weight) => _weights.ContainsKey(weight) ? Norm(heads, weight) : heads;

    Tensor Linear(Tensor h, string layer)
    {
        var product = h.matmul(_weights[layer + ".weight"].t());
        if (_weights.TryGetValue(layer + ".lora_A.weight", out var a))
        {
            var b = _weights[layer + ".lora_B.weight"];
            product = product + _scale * Drop(layer, h).matmul(a.t()).matmul(b.t());
            if (_weights.TryGetValue(layer + ".lora_magnitude_vector", out var magnitude))
            {
                product = product * (magnitude / (_weights[layer + ".weight"] + _scale * b.matmul(a)).detach().square().sum([1]).sqrt());
            }
        }

        return _weights.TryGetValue(layer + ".bias", out var bias) ? product + bias : product;
    }

    Tensor Heads(Tensor h, string layer, int heads) => Linear(h, layer).reshape(h.shape[0], heads, _shape.HeadDim).transpose(0, 1);

    Tensor Rotate(Tensor x)
    {
        var half = _shape.HeadDim / 2;
        var angles = arange(x.shape[1], dtype: ScalarType.Float64).unsqueeze(1)
            * (Frequencies ?? pow(_shape.RopeTheta, arange(half, dtype: ScalarType.Float64) * (-2.0 / _shape.HeadDim))).unsqueeze(0);
        var (low, high) = (x.narrow(2, 0, half), x.narrow(2, half, half));
        return cat([low * angles.cos() - high * angles.sin(), high * angles.cos() + low * angles.sin()], 2) * Magnitude;
    }
}
