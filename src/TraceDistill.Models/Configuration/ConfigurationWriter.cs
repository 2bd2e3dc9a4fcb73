using System.Text.Json.Nodes;

namespace TraceDistill.Models.Configuration;

/// <summary>A configuration as <c>config.json</c>, so that transformers, vLLM and llama.cpp's converter read it.</summary>
static class ConfigurationWriter
{
    public static JsonObject Write(ModelConfiguration c, TensorDtype dtype)
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(c.Family.Architecture()),
            ["model_type"] = c.Family.ModelType(),
            ["hidden_act"] = "silu",
            ["vocab_size"] = c.VocabSize,
            ["hidden_size"] = c.HiddenSize,
            ["intermediate_size"] = c.IntermediateSize,
            ["num_hidden_layers"] = c.NumHiddenLayers,
            ["num_attention_heads"] = c.NumAttentionHeads,
            ["num_key_value_heads"] = c.NumKeyValueHeads,
            ["head_dim"] = c.HeadDim,
            ["rms_norm_eps"] = c.RmsNormEps,
            ["rope_theta"] = c.RopeTheta,
            ["rope_scaling"] = Write(c.RopeScaling),
            ["max_position_embeddings"] = c.MaxPositionEmbeddings,
            ["tie_word_embeddings"] = c.TieWordEmbeddings,
            ["initializer_range"] = c.InitializerRange,
            ["bos_token_id"] = c.BosTokenId,
            ["eos_token_id"] = c.EosTokenIds.Count == 1 ? c.EosTokenIds[0] : new JsonArray([.. c.EosTokenIds.Select(id => JsonValue.Create(id))]),
            ["torch_dtype"] = dtype.TorchName(),
        };
        if (c.Family != ModelFamily.Qwen2)
        {
            json["attention_bias"] = c.AttentionBias;
        }

        json[c.Family == ModelFamily.Llama ? "mlp_bias" : "use_sliding_window"] = false;
        return json;
    }

    static JsonObject? Write(RopeScaling scaling)
    {
        if (scaling.Type == RopeType.Default)
        {
            return null;
        }

        var json = new JsonObject { ["rope_type"] = scaling.Type.ToString().ToLowerInvariant(), ["factor"] = scaling.Factor };
        Put("original_max_position_embeddings", scaling.OriginalMaxPositionEmbeddings);
        if (scaling.Type == RopeType.Llama3)
        {
            Put("low_freq_factor", scaling.LowFreqFactor);
            Put("high_freq_factor", scaling.HighFreqFactor);
        }

        if (scaling.Type == RopeType.Yarn)
        {
            Put("beta_fast", scaling.BetaFast);
            Put("beta_slow", scaling.BetaSlow);
            Put("attention_factor", scaling.AttentionFactor);
            Put("mscale", scaling.Mscale);
            Put("mscale_all_dim", scaling.MscaleAllDim);
            json["truncate"] = scaling.Truncate;
        }

        return json;

        void Put(string name, double? value)
        {
            if (value is { } number)
            {
                json[name] = number;
            }
        }
    }
}
