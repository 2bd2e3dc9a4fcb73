using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>Which tensors a model's GGUF file has, and which of them are stored how.</summary>
/// <remarks>The mixture is that of llama.cpp's quantiser (<c>llama-quant.cpp</c>), but for its rule for models of 80 layers.</remarks>
sealed class TensorPlan(ModelConfiguration configuration, GgufQuantization quantization)
{
    const string Router = "ffn_gate_inp";

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
        ["self_attn.qkv_proj"] = "attn_qkv",
        ["post_attention_layernorm"] = "ffn_norm",
        ["pre_feedforward_layernorm"] = "ffn_norm",
        ["post_feedforward_layernorm"] = "post_ffw_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.gate_up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
        ["mlp.gate"] = Router,
        ["block_sparse_moe.gate"] = Router,
        ["model.norm"] = "output_norm",
        ["lm_head"] = "output",
    };

    public IReadOnlyList<GgufTensor> Tensors()
    {
        var factors = RotaryMetadata
            .Factors(configuration)
            .Select(tensor => new GgufTensor(tensor.Key, "", [tensor.Value.Length], 0, GgmlType.F32));
        var tensors = ModelParameters.Shapes(configuration).Select(weight => Tensor(weight.Name, weight.Shape)).OfType<GgufTensor>();
        // llama.cpp's OLMo 2 has an output of its own whatever the model has.
        IEnumerable<GgufTensor> output = configuration is { Family: ModelFamily.Olmo2, TieWordEmbeddings: true }
            ? [Tensor("model.embed_tokens.weight", [configuration.VocabSize, configuration.HiddenSize])! with { Name = "output.weight" }]
            : [];
        return [.. factors, .. tensors, .. output];
    }

    /// <summary>How the file that a model is trained for stores each of its matrices; null for none.</summary>
    /// <exception cref="InvalidInputException">No GGUF file has such a model.</exception>
    public static BlockPlan? BlocksOf(ModelConfiguration configuration, QuantizationAware type) =>
        FileOf(type) is not { } quantization
            ? null
            : new BlockPlan(
                type,
                Known(configuration, quantization)
                    .Sources()
                    .Where(weight => weight.Tensor.Type != GgmlType.F32)
                    .ToDictionary(weight => weight.Name, weight => new BlockRounding(weight.Tensor.Type, weight.Tensor.Factor))
            );

    /// <summary>The weights of a model as its file has them.</summary>
    /// <exception cref="InvalidInputException">No GGUF file has such a model.</exception>
    public static QuantizedWeights WeightsOf(ModelConfiguration configuration, GgufQuantization quantization) =>
        new(
            quantization.ToString(),
            Known(configuration, quantization)
                .Sources()
                .ToDictionary(weight => weight.Name, weight => (weight.Tensor.Type, weight.Tensor.Factor))
        );

    /// <exception cref="InvalidInputException">No GGUF file has such a model.</exception>
    static TensorPlan Known(ModelConfiguration configuration, GgufQuantization quantization) =>
        configuration is { Recurrence: null, Pictures: null }
            ? new TensorPlan(configuration, quantization)
            : throw new InvalidInputException(
                $"a {configuration.Family.ModelType()} model{(configuration.Pictures is null ? "" : " with a picture_encoder")} cannot "
                    + "have the values of a GGUF file: llama.cpp has no such architecture; "
                    + "leave quantization_aware (or quantization of an export) out"
            );

    /// <summary>The file that a model is trained for; null for none.</summary>
    public static GgufQuantization? FileOf(QuantizationAware type) =>
        type switch
        {
            QuantizationAware.Q8_0 => GgufQuantization.Q8_0,
            QuantizationAware.Q4_0 => GgufQuantization.Q4_0,
            _ => null,
        };

    /// <summary>The weights by Hugging Face's name, and the tensor that has each.</summary>
    IEnumerable<(string Name, GgufTensor Tensor)> Sources() =>
        Tensors()
            .Where(tensor => tensor.Source.Length > 0)
            .SelectMany(tensor => (tensor.Experts.Count > 0 ? tensor.Experts : [tensor.Source]).Select(name => (name, tensor)))
            .DistinctBy(weight => weight.name);

    /// <returns>Null for an expert but the first, in whose tensor all are.</returns>
    GgufTensor? Tensor(string source, long[] shape)
    {
        var (layer, weight) = (-1, source);
        if (source.Split('.') is ["model", "layers", var number, .. var rest])
        {
            (layer, weight) = (int.Parse(number, System.Globalization.CultureInfo.InvariantCulture), string.Join('.', rest));
        }

        var block = layer < 0 ? "" : $"blk.{layer}.";
        if (weight.Split(".experts.") is [_, var expert])
        {
            return expert.StartsWith("0.", StringComparison.Ordinal)
                ? Experts(block, source, expert[2..^".weight".Length], shape, layer)
                : null;
        }

        var dot = weight.LastIndexOf('.');
        var isAfter = configuration.Traits.Norms != NormPlacement.Before && weight == "post_attention_layernorm.weight";
        var name = isAfter ? "post_attention_norm" : Names[weight[..dot]];
        var isNorm = shape.Length == 1 && weight[dot..] == ".weight";
        return new GgufTensor(block + name + weight[dot..], source, shape, PermutedHeads(name), TypeOf(name, shape, layer))
        {
            Shift = isNorm && configuration.Traits.NormsAddOne ? 1 : 0,
            Factor =
                name == (configuration.HasQueryKeyNorm ? "attn_q_norm" : "attn_q") ? (float)FamilyMetadata.QueryFactor(configuration) : 1,
        };
    }

    /// <summary>All experts' weights of one kind, one behind the other.</summary>
    /// <param name="source">That of the first.</param>
    GgufTensor Experts(string block, string source, string projection, long[] shape, int layer)
    {
        var (names, count) = (configuration.Traits.Experts!, configuration.Experts!.NumExperts);
        var kind =
            projection == names.Gate ? "ffn_gate"
            : projection == names.Up ? "ffn_up"
            : "ffn_down";
        return new GgufTensor($"{block}{kind}_exps.weight", source, [count, .. shape], 0, TypeOf(kind, shape, layer))
        {
            Experts =
            [
                .. Enumerable
                    .Range(0, count)
                    .Select(expert => source.Replace(".experts.0.", $".experts.{expert}.", StringComparison.Ordinal)),
            ],
        };
    }

    /// <summary>
    /// llama.cpp rotates neighbouring channels for the architectures llama and smollm3, and
    /// those half a head apart, as Hugging Face does, for the others.
    /// </summary>
    int PermutedHeads(string name) =>
        configuration.Family is not (ModelFamily.Llama or ModelFamily.Mistral or ModelFamily.Mixtral or ModelFamily.SmolLM3)
            ? 0
            : name switch
            {
                "attn_q" => configuration.NumAttentionHeads,
                "attn_k" => configuration.NumKeyValueHeads,
                _ => 0,
            };

    GgmlType TypeOf(string name, long[] shape, int layer)
    {
        if (shape.Length == 1 || name == Router)
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
            _ => name == "attn_qkv" || (name is "attn_v" or "ffn_down" && HasMoreBits(layer)) ? GgmlType.Q6_K : GgmlType.Q4_K,
        };
        return Fitting(wanted, shape[1]);
    }

    /// <summary>The first and last eighth of the layers, and every third of those between.</summary>
    bool HasMoreBits(int layer)
    {
        var layers = configuration.NumHiddenLayers;
        return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    }

    /// <summary>Stand-in for a type whose blocks do not divide a row.</summary>
    static GgmlType Fitting(GgmlType type, long columns) =>
        columns % type.BlockSize() == 0
            ? type
            : type switch
            {
                GgmlType.Q6_K => Fitting(GgmlType.Q8_0, columns),
                GgmlType.Q4_K => Fitting(GgmlType.Q5_0, columns),
                _ => GgmlType.F16,
            };
}
