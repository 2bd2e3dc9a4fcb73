using TorchSharp;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Tests.Support;

/// <summary>
/// A forward pass of every family, written from the papers and the equations of transformers in plain float64 tensor operations;
/// libtorch's autograd gives its gradient. Of a configuration it reads sizes and switches; what a family is it says itself.
/// </summary>
sealed class ReferenceLlama
{
    static readonly Scalar Nothing = 0.0; // an implicit one may be collected during the call

    readonly ModelConfiguration _shape;
    readonly Dictionary<string, Tensor> _weights = [];
    readonly Dictionary<int, List<(Tensor Probabilities, Tensor Chosen)>> _routed = [];
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

    /// <summary>Dropout of the input of the named layer's adapter.</summary>
    public Func<string, Tensor, Tensor> Drop { get; init; } = (_, input) => input;

    /// <summary>[d/2] in place of the plain ones.</summary>
    public Tensor? Frequencies { get; init; }

    /// <summary>Of rotated queries and keys.</summary>
    public double Magnitude { get; init; } = 1;

    public Tensor Weight(string name) => _weights[name];

    public Tensor Gradient(string name) => _weights[name].grad!;

    /// <summary>[layers + 1] residual streams of the last pass: before the first layer, and after each.</summary>
    public List<Tensor> Streams { get; } = [];

    /// <summary>[layers] attention weights [H, T, T] of the last pass.</summary>
    public List<Tensor> Maps { get; } = [];

    /// <summary>[layers] values [G, T, d] of the last pass.</summary>
    public List<Tensor> Values { get; } = [];

    bool IsGemma => _shape.Family is ModelFamily.Gemma2 or ModelFamily.Gemma3;

    /// <returns>[tokens, D] hidden states after the final norm.</returns>
    public Tensor Forward(int[] ids)
    {
        Streams.Clear();
        Maps.Clear();
        Values.Clear();
        var x = _weights["model.embed_tokens.weight"].index_select(0, tensor(ids.Select(id => (long)id).ToArray()));
        x = IsGemma ? x.Times(Math.Sqrt(_shape.HiddenSize)) : x;
        Streams.Add(x);
        for (var i = 0; i < _shape.NumHiddenLayers; i++)
        {
            var layer = $"model.layers.{i}.";
            if (IsGemma)
            {
                x = x.Plus(Norm(Attend(Norm(x, layer + "input_layernorm.weight"), i), layer + "post_attention_layernorm.weight"));
                x = x.Plus(
                    Norm(FeedForward(Norm(x, layer + "pre_feedforward_layernorm.weight"), i), layer + "post_feedforward_layernorm.weight")
                );
            }
            else if (_shape.Family == ModelFamily.Olmo2)
            {
                x = x.Plus(Norm(Attend(x, i), layer + "post_attention_layernorm.weight"));
                x = x.Plus(Norm(FeedForward(x, i), layer + "post_feedforward_layernorm.weight"));
            }
            else
            {
                x = x.Plus(Attend(Norm(x, layer + "input_layernorm.weight"), i));
                x = x.Plus(FeedForward(Norm(x, layer + "post_attention_layernorm.weight"), i));
            }

            Streams.Add(x);
        }

        return Norm(x, "model.norm.weight");
    }

    /// <returns>[tokens, V].</returns>
    public Tensor Logits(int[] ids)
    {
        var logits = Forward(ids).matmul(_weights[_shape.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"].t());
        return _shape.Family == ModelFamily.Gemma2 ? logits.Times(1.0 / 30).tanh().Times(30) : logits;
    }

    /// <summary>E · Σ f·P of each pass so far, a sequence, times its tokens; summed, and the mean over the layers.</summary>
    public Tensor RouterLoss() =>
        stack([
                .. _routed.Values.Select(passes =>
                    stack([
                            .. passes.Select(pass =>
                                (pass.Chosen.mean([0]) * pass.Probabilities.mean([0])).sum().Times(pass.Probabilities.numel())
                            ),
                        ])
                        .sum()
                ),
            ])
            .mean();

    /// <returns>[tokens, D] what attention adds.</returns>
    Tensor Attend(Tensor h, int layer)
    {
        if (_shape.Family == ModelFamily.MinGru)
        {
            return Recur(h, $"model.layers.{layer}.mixer.");
        }

        string attention = $"model.layers.{layer}.self_attn.",
            q = attention + "q_proj",
            k = attention + "k_proj",
            v = attention + "v_proj";
        Tensor queries,
            keys,
            values;
        if (_shape.Family == ModelFamily.Phi3)
        {
            var all = Linear(h, attention + "qkv_proj");
            queries = Heads(all.narrow(1, 0, _shape.QuerySize), _shape.NumAttentionHeads);
            keys = Heads(all.narrow(1, _shape.QuerySize, _shape.KeyValueSize), _shape.NumKeyValueHeads);
            values = Heads(all.narrow(1, _shape.QuerySize + _shape.KeyValueSize, _shape.KeyValueSize), _shape.NumKeyValueHeads);
        }
        else if (_shape.Family == ModelFamily.Olmo2)
        {
            queries = Heads(Norm(Linear(h, q), attention + "q_norm.weight"), _shape.NumAttentionHeads);
            keys = Heads(Norm(Linear(h, k), attention + "k_norm.weight"), _shape.NumKeyValueHeads);
            values = Heads(Linear(h, v), _shape.NumKeyValueHeads);
        }
        else
        {
            queries = HeadNorm(Heads(Linear(h, q), _shape.NumAttentionHeads), attention + "q_norm.weight");
            keys = HeadNorm(Heads(Linear(h, k), _shape.NumKeyValueHeads), attention + "k_norm.weight");
            values = Heads(Linear(h, v), _shape.NumKeyValueHeads);
        }

        Values.Add(values);
        var window = _shape.SlidingWindow ?? int.MaxValue;
        var slides =
            _shape.SlidingWindow is not null
            && _shape.Family switch
            {
                ModelFamily.Gemma2 => layer % 2 == 0,
                ModelFamily.Gemma3 => (layer + 1) % 6 != 0,
                ModelFamily.Qwen2 or ModelFamily.Qwen3 => _shape.SlidingLayers![layer],
                _ => true,
            };
        if (_shape.Family != ModelFamily.SmolLM3 || (layer + 1) % 4 != 0)
        {
            var theta = _shape.Family == ModelFamily.Gemma3 && slides ? 10_000 : _shape.RopeTheta;
            (queries, keys) = (Rotate(queries, theta), Rotate(keys, theta));
        }

        var group = _shape.NumAttentionHeads / _shape.NumKeyValueHeads;
        (keys, values) = (keys.repeat_interleave(group, 0), values.repeat_interleave(group, 0));
        var scores = queries.matmul(keys.transpose(1, 2)).Times(1 / Math.Sqrt(IsGemma ? _shape.QueryPreAttnScalar!.Value : _shape.HeadDim));
        scores = _shape.Family == ModelFamily.Gemma2 ? scores.Times(1.0 / 50).tanh().Times(50) : scores;
        var tokens = (int)h.shape[0];
        var hidden = new bool[tokens * tokens];
        for (var query = 0; query < tokens; query++)
        {
            for (var key = 0; key < tokens; key++)
            {
                hidden[query * tokens + key] = key > query || (slides && query - key >= window);
            }
        }

        var map = scores.NegativeInfinityWhere(tensor(hidden).reshape(tokens, tokens)).softmax(-1);
        Maps.Add(map);
        return Linear(map.matmul(values).transpose(0, 1).reshape(tokens, _shape.QuerySize), attention + "o_proj");
    }

    /// <summary>
    /// minGRU (arXiv 2410.01201, section 3.1, with g of appendix B), token after token, behind a convolution as libtorch has it.
    /// </summary>
    /// <returns>[tokens, D] what it adds.</returns>
    Tensor Recur(Tensor h, string mixer)
    {
        if (_weights.TryGetValue(mixer + "conv.weight", out var taps))
        {
            var (channels, kernel) = (taps.shape[0], taps.shape[2]);
            var padded = cat([zeros(kernel - 1, channels, dtype: ScalarType.Float64), h], 0).t().unsqueeze(0);
            h = h.Plus(nn.functional.conv1d(padded, taps, groups: channels).squeeze(0).t());
        }

        var (z, candidate) = (Linear(h, mixer + "z_proj").sigmoid(), Linear(h, mixer + "h_proj"));
        var g = where(candidate.ge(Nothing), candidate.Plus(0.5), candidate.sigmoid());
        var state = zeros(1, z.shape[1], dtype: ScalarType.Float64);
        var states = new List<Tensor>();
        for (var t = 0; t < h.shape[0]; t++)
        {
            state = (z.narrow(0, t, 1).neg().Plus(1) * state).Plus(z.narrow(0, t, 1) * g.narrow(0, t, 1));
            states.Add(state);
        }

        return Linear(cat([.. states], 0), mixer + "o_proj");
    }

    /// <returns>[tokens, D] what the MLP or the experts add.</returns>
    Tensor FeedForward(Tensor h, int layer)
    {
        var prefix = $"model.layers.{layer}.";
        if (_shape.Family == ModelFamily.Phi3)
        {
            var both = Linear(h, prefix + "mlp.gate_up_proj");
            var (first, f) = (both.narrow(1, 0, _shape.IntermediateSize), _shape.IntermediateSize);
            return Linear(first * first.sigmoid() * both.narrow(1, f, f), prefix + "mlp.down_proj");
        }

        return _shape.Family switch
        {
            ModelFamily.Mixtral => Route(h, layer, prefix + "block_sparse_moe.", "w1", "w3", "w2"),
            ModelFamily.Qwen3Moe when _weights.ContainsKey(prefix + "mlp.gate.weight") => Route(
                h,
                layer,
                prefix + "mlp.",
                "gate_proj",
                "up_proj",
                "down_proj"
            ),
            _ => Mlp(h, prefix + "mlp.", "gate_proj", "up_proj", "down_proj"),
        };
    }

    Tensor Mlp(Tensor h, string prefix, string gateName, string up, string down)
    {
        var gate = Linear(h, prefix + gateName);
        var active = IsGemma
            ? gate.Times(0.5) * gate.Plus((gate * gate * gate).Times(0.044715)).Times(Math.Sqrt(2 / Math.PI)).tanh().Plus(1)
            : gate * gate.sigmoid();
        return Linear(active * Linear(h, prefix + up), prefix + down);
    }

    /// <summary>All experts of all tokens, times zero where a token does not go.</summary>
    Tensor Route(Tensor h, int layer, string block, string gate, string up, string down)
    {
        var settings = _shape.Experts!;
        var probabilities = h.matmul(_weights[block + "gate.weight"].t()).softmax(-1);
        var values = probabilities.data<double>().ToArray().Chunk(settings.NumExperts).ToArray();
        double[] chosen =
        [
            .. values.SelectMany(row => row.Select(p => row.Count(other => other > p) < settings.NumExpertsPerToken ? 1.0 : 0.0)),
        ];
        var mask = tensor(chosen).reshape(h.shape[0], settings.NumExperts);
        _routed.TryAdd(layer, []);
        _routed[layer].Add((probabilities, mask));
        var weights = probabilities * mask;
        weights = _shape.Family == ModelFamily.Mixtral || settings.NormalizesTopK ? weights / weights.sum(1, keepdim: true) : weights;
        var sum = zeros_like(h);
        for (var expert = 0; expert < settings.NumExperts; expert++)
        {
            sum = sum.Plus(weights.narrow(1, expert, 1) * Mlp(h, $"{block}experts.{expert}.", gate, up, down));
        }

        return sum;
    }

    void Add(NamedWeights weights)
    {
        foreach (var name in weights.Names)
        {
            _weights[name] = tensor(weights.Values(name).ToArray(), weights.ShapeOf(name)).to(ScalarType.Float64).requires_grad_(true);
        }
    }

    Tensor Norm(Tensor x, string weight) =>
        x * x.Squared().mean([-1], keepdim: true).Plus(_shape.RmsNormEps).rsqrt() * (IsGemma ? _weights[weight].Plus(1) : _weights[weight]);

    Tensor HeadNorm(Tensor heads, string weight) => _weights.ContainsKey(weight) ? Norm(heads, weight) : heads;

    Tensor Linear(Tensor h, string layer)
    {
        var product = h.matmul(_weights[layer + ".weight"].t());
        if (_weights.TryGetValue(layer + ".lora_A.weight", out var a))
        {
            var b = _weights[layer + ".lora_B.weight"];
            product = product.Plus(Drop(layer, h).matmul(a.t()).matmul(b.t()).Times(_scale));
            if (_weights.TryGetValue(layer + ".lora_magnitude_vector", out var magnitude))
            {
                product =
                    product * (magnitude / _weights[layer + ".weight"].Plus(b.matmul(a).Times(_scale)).detach().Squared().sum([1]).sqrt());
            }
        }

        return _weights.TryGetValue(layer + ".bias", out var bias) ? product.Plus(bias) : product;
    }

    Tensor Heads(Tensor all, int heads) => all.reshape(all.shape[0], heads, _shape.HeadDim).transpose(0, 1);

    Tensor Rotate(Tensor x, double theta)
    {
        var rotated = (int)(_shape.PartialRotaryFactor * _shape.HeadDim);
        var half = rotated / 2;
        var angles =
            tensor([.. Enumerable.Range(0, (int)x.shape[1]).Select(position => (double)position)]).unsqueeze(1)
            * (Frequencies ?? tensor([.. Enumerable.Range(0, half).Select(i => Math.Pow(theta, -2.0 * i / rotated))])).unsqueeze(0);
        var (low, high) = (x.narrow(2, 0, half), x.narrow(2, half, half));
        var turned = cat([(low * angles.cos()) - (high * angles.sin()), (high * angles.cos()).Plus(low * angles.sin())], 2)
            .Times(Magnitude);
        return rotated == _shape.HeadDim ? turned : cat([turned, x.narrow(2, rotated, _shape.HeadDim - rotated)], 2);
    }
}
