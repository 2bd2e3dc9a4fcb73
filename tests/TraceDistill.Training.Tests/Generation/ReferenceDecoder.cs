using TraceDistill.Training.Models;

namespace TraceDistill.Training.Tests.Generation;

/// <summary>A Llama decoder as the papers write it: plain loops in double precision, no cache, the whole sequence each time.</summary>
sealed class ReferenceDecoder(ModelParameters parameters)
{
    readonly ModelConfiguration _c = parameters.Configuration;

    /// <summary>[T][V] logits of every position.</summary>
    public double[][] Logits(IReadOnlyList<int> tokens)
    {
        var x = tokens.Select(token => Weight("model.embed_tokens.weight").Skip(token * _c.HiddenSize).Take(_c.HiddenSize).ToArray()).ToArray();
        for (var layer = 0; layer < _c.NumHiddenLayers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            var normed = x.Select(row => Norm(row, prefix + "input_layernorm.weight")).ToArray();
            var queries = normed.Select((row, t) => Rotate(Linear(row, prefix + "self_attn.q_proj.weight"), t)).ToArray();
            var keys = normed.Select((row, t) => Rotate(Linear(row, prefix + "self_attn.k_proj.weight"), t)).ToArray();
            var values = normed.Select(row => Linear(row, prefix + "self_attn.v_proj.weight")).ToArray();
            for (var t = 0; t < x.Length; t++)
            {
                var attended = Enumerable.Range(0, _c.NumAttentionHeads).SelectMany(head => Attend(queries, keys, values, t, head)).ToArray();
                x[t] = Add(x[t], Linear(attended, prefix + "self_attn.o_proj.weight"));
                var middle = Norm(x[t], prefix + "post_attention_layernorm.weight");
                var gated = Linear(middle, prefix + "mlp.gate_proj.weight").Zip(Linear(middle, prefix + "mlp.up_proj.weight"), (g, u) => g / (1 + Math.Exp(-g)) * u);
                x[t] = Add(x[t], Linear([.. gated], prefix + "mlp.down_proj.weight"));
            }
        }

        var head = _c.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
        return [.. x.Select(row => Linear(Norm(row, "model.norm.weight"), head))];
    }

    public static double[] LogSoftmax(double[] logits)
    {
        var max = logits.Max();
        var normalizer = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        return [.. logits.Select(logit => logit - normalizer)];
    }

    double[] Attend(double[][] queries, double[][] keys, double[][] values, int t, int head)
    {
        var shared = head / (_c.NumAttentionHeads / _c.NumKeyValueHeads);
        double Score(int s) => Enumerable.Range(0, _c.HeadDim).Sum(i => queries[t][head * _c.HeadDim + i] * keys[s][shared * _c.HeadDim + i]) / Math.Sqrt(_c.HeadDim);
        var weights = LogSoftmax([.. Enumerable.Range(0, t + 1).Select(Score)]).Select(Math.Exp).ToArray();
        return [.. Enumerable.Range(0, _c.HeadDim).Select(i => weights.Select((w, s) => w * values[s][shared * _c.HeadDim + i]).Sum())];
    }

    double[] Rotate(double[] heads, int position)
    {
        var (size, half) = (_c.HeadDim, _c.HeadDim / 2);
        return [.. heads.Select((value, index) =>
        {
            var (start, i) = (index / size * size, index % size);
            var angle = position * Math.Pow(_c.RopeTheta, -2.0 * (i % half) / size);
            return value * Math.Cos(angle) + (i < half ? -heads[start + i + half] : heads[start + i - half]) * Math.Sin(angle);
        })];
    }

    double[] Norm(double[] row, string name)
    {
        var scale = 1 / Math.Sqrt(row.Average(value => value * value) + _c.RmsNormEps);
        return [.. row.Zip(Weight(name), (value, weight) => value * scale * weight)];
    }

    double[] Linear(double[] row, string name)
    {
        var weight = Weight(name);
        return [.. Enumerable.Range(0, weight.Length / row.Length).Select(output => row.Select((value, i) => value * weight[output * row.Length + i]).Sum())];
    }

    readonly Dictionary<string, double[]> _weights = [];

    double[] Weight(string name) =>
        _weights.TryGetValue(name, out var weight) ? weight : _weights[name] = Array.ConvertAll(parameters.Values(name).ToArray(), value => (double)value);

    static double[] Add(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
}
