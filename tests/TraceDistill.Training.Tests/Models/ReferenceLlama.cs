using TorchSharp;
using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Models;

/// <summary>A Llama forward pass written from the papers in plain float64 tensor operations; libtorch's autograd gives its gradient.</summary>
sealed class ReferenceLlama
{
    readonly ModelConfiguration _shape;
    readonly Dictionary<string, Tensor> _weights = [];

    public ReferenceLlama(ModelParameters parameters)
    {
        _shape = parameters.Configuration;
        foreach (var name in parameters.Names)
        {
            _weights[name] = tensor(parameters.Values(name).ToArray(), parameters.ShapeOf(name)).to(ScalarType.Float64).requires_grad_(true);
        }
    }

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
            var q = Rotate(Heads(h, layer + "self_attn.q_proj.weight", _shape.NumAttentionHeads));
            var k = Rotate(Heads(h, layer + "self_attn.k_proj.weight", _shape.NumKeyValueHeads));
            var v = Heads(h, layer + "self_attn.v_proj.weight", _shape.NumKeyValueHeads);
            var group = _shape.NumAttentionHeads / _shape.NumKeyValueHeads;
            (k, v) = (k.repeat_interleave(group, 0), v.repeat_interleave(group, 0));
            var scores = (q.matmul(k.transpose(1, 2)) / Math.Sqrt(_shape.HeadDim)).masked_fill(mask, double.NegativeInfinity);
            var attended = scores.softmax(-1).matmul(v).transpose(0, 1).reshape(ids.Length, _shape.QuerySize);
            x = x + attended.matmul(_weights[layer + "self_attn.o_proj.weight"].t());
            h = Norm(x, layer + "post_attention_layernorm.weight");
            var gate = h.matmul(_weights[layer + "mlp.gate_proj.weight"].t());
            var up = h.matmul(_weights[layer + "mlp.up_proj.weight"].t());
            x = x + (gate * gate.sigmoid() * up).matmul(_weights[layer + "mlp.down_proj.weight"].t());
        }

        return Norm(x, "model.norm.weight");
    }

    /// <returns>[tokens, V].</returns>
    public Tensor Logits(int[] ids) =>
        Forward(ids).matmul(_weights[_shape.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"].t());

    Tensor Norm(Tensor x, string weight) => x * (x.square().mean([-1], keepdim: true) + _shape.RmsNormEps).rsqrt() * _weights[weight];

    Tensor Heads(Tensor h, string weight, int heads) =>
        h.matmul(_weights[weight].t()).reshape(h.shape[0], heads, _shape.HeadDim).transpose(0, 1);

    Tensor Rotate(Tensor x)
    {
        var half = _shape.HeadDim / 2;
        var angles = arange(x.shape[1], dtype: ScalarType.Float64).unsqueeze(1)
            * pow(_shape.RopeTheta, arange(half, dtype: ScalarType.Float64) * (-2.0 / _shape.HeadDim)).unsqueeze(0);
        var (low, high) = (x.narrow(2, 0, half), x.narrow(2, half, half));
        return cat([low * angles.cos() - high * angles.sin(), high * angles.cos() + low * angles.sin()], 2);
    }
}
