using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Weights;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>Which tensors a model's GGUF file has, and which of them are stored how.</summary>
/// <remarks>The mixture is that of llama.cpp's quantiser (<c>llama-quant.cpp</c>), but for its rule for models of 80 layers.</remarks>
sealed class TensorPlan(ModelConfiguration configuration, GgufQuantization quantization)
{
    static readonly Dictionary<string, string> Names = new()
    {
        ["model.embed_tokens"] = "token_embd",
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["self_attn.q_norm"] = "attn_q_norm",
        ["self_attn.k_norm"] = "attn_k_norm",
        ["post_attention_layernorm"] = "ffn_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
        ["model.norm"] = "output_norm",
        ["lm_head"] = "output",
    };

    public IReadOnlyList<GgufTensor> Tensors()
    {
        IEnumerable<GgufTensor> factors = RotaryMetadata.Factors(configuration) is { } values
            ? [new GgufTensor(RotaryMetadata.FactorsName, "", [values.Length], 0, GgmlType.F32)]
            : [];
        return [.. factors, .. ModelParameters.Shapes(configuration).Select(weight => Tensor(weight.Name, weight.Shape))];
    }

    GgufTensor Tensor(string source, long[] shape)
    {
        var (layer, weight) = (-1, source);
        if (source.Split('.') is ["model", "layers", var number, .. var rest])
        {
            (layer, weight) = (int.Parse(number, System.Globalization.CultureInfo.InvariantCulture), string.Join('.', rest));
        }

        var dot = weight.LastIndexOf('.');
        var name = Names[weight[..dot]];
        return new GgufTensor((layer < 0 ? "" : $"blk.{layer}.") + name + weight[dot..], source, shape, PermutedHeads(name), TypeOf(name, shape, layer));
    }

    /// <summary>llama.cpp rotates neighbouring channels for the architecture llama, and those half a head apart, as Hugging Face does, for the others.</summary>
    int PermutedHeads(string name) => (configuration.Family, name) switch
    {
        (ModelFamily.Llama, "attn_q") => configuration.NumAttentionHeads,
        (ModelFamily.Llama, "attn_k") => configuration.NumKeyValueHeads,
        _ => 0,
    };

    GgmlType TypeOf(string name, long[] shape, int layer)
    {
        if (shape.Length == 1)
        {
            return GgmlType.F32;
        }

        var isOutput = name == "output" || (name == "token_embd" && configuration.TieWordEmbeddings);
        var wanted = quantization switch
        {
            GgufQuantization.F32 => GgmlType.F32,
            GgufQuantization.F16 => GgmlType.F16,
            GgufQuantization.BF16 => GgmlType.BF16,
            GgufQuantization.Q8_0 => GgmlType.Q8_0,
            GgufQuantization.Q6_K => GgmlType.Q6_K,
            _ when isOutput => GgmlType.Q6_K,
            GgufQuantization.Q4_0 => GgmlType.Q4_0,
            _ => name is "attn_v" or "ffn_down" && HasMoreBits(layer) ? GgmlType.Q6_K : GgmlType.Q4_K,
        };
        return Fitting(wanted, shape[1]);
    }

    /// <summary>The first and last eighth of the layers, and every third of those between.</summary>
    bool HasMoreBits(int layer)
    {
        var layers = configuration.NumHiddenLayers;
        return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    }

    /// <summary>What stands in for a type whose blocks do not divide a row.</summary>
    static GgmlType Fitting(GgmlType type, long columns) => columns % type.BlockSize() == 0 ? type : type switch
    {
        GgmlType.Q6_K => Fitting(GgmlType.Q8_0, columns),
        GgmlType.Q4_K => Fitting(GgmlType.Q5_0, columns),
        _ => GgmlType.F16,
    };
}
