using System.Globalization;
using System.Text.Json.Nodes;

namespace TraceDistill.Models.Configuration;

/// <summary>A configuration as <c>config.json</c>, so that transformers, vLLM and llama.cpp's converter read it.</summary>
static class ConfigurationWriter
{
    /// <summary>Ours, and no other program's: others read weights as they are.</summary>
    public const string QuantizationField = "quantization_aware";

    /// <inheritdoc cref="QuantizationField"/>
    public const string ExitsField = "early_exit_layers";

    /// <summary>Ours alone: the encoder of pictures.</summary>
    public const string PictureField = "picture_encoder";

    public static JsonObject Write(ModelConfiguration c, TensorDtype dtype)
    {
        var traits = c.Traits;
        var isGelu = traits.Gate == GateActivation.GeluTanh;
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(c.Architecture),
            ["model_type"] = traits.ModelType,
            [isGelu ? "hidden_activation" : "hidden_act"] = isGelu ? "gelu_pytorch_tanh" : "silu",
            ["vocab_size"] = c.VocabSize,
            ["hidden_size"] = c.HiddenSize,
            ["intermediate_size"] = c.IntermediateSize,
            ["num_hidden_layers"] = c.NumHiddenLayers,
            ["rms_norm_eps"] = c.RmsNormEps,
            ["max_position_embeddings"] = c.MaxPositionEmbeddings,
            ["tie_word_embeddings"] = c.TieWordEmbeddings,
            ["initializer_range"] = c.InitializerRange,
            ["bos_token_id"] = c.BosTokenId,
            ["eos_token_id"] =
                c.EosTokenIds.Count == 1 ? c.EosTokenIds[0] : new JsonArray([.. c.EosTokenIds.Select(id => JsonValue.Create(id))]),
            ["torch_dtype"] = dtype.TorchName(),
        };
        if (c.Head is { } head)
        {
            Write(json, head);
        }

        if (c.QuantizationAware != QuantizationAware.None)
        {
            json[QuantizationField] = c.QuantizationAware.ToString().ToLowerInvariant();
        }

        if (c.EarlyExitLayers.Count > 0)
        {
            json[ExitsField] = new JsonArray([.. c.EarlyExitLayers.Select(layer => JsonValue.Create(layer))]);
        }

        if (c.Pictures is { } pictures)
        {
            json[PictureField] = Write(pictures);
        }

        if (c.Recurrence is { } recurrence)
        {
            json["state_size"] = recurrence.StateSize;
            json["conv_kernel"] = recurrence.ConvKernel;
            return json;
        }

        WriteHeads(json, c);
        if (traits.ReadsAttentionBias)
        {
            json["attention_bias"] = c.AttentionBias;
        }

        if (c.Family is ModelFamily.Llama or ModelFamily.SmolLM3)
        {
            json["mlp_bias"] = false;
        }

        WriteAttention(json, c, traits);
        if (c.Experts is { } experts)
        {
            Write(json, experts, traits.Experts!);
        }

        return json;
    }

    /// <summary>transformers takes the number of labels from <c>id2label</c>; <c>num_labels</c> is for other readers.</summary>
    static void Write(JsonObject json, ClassificationHead head)
    {
        json["num_labels"] = head.Labels.Count;
        json["id2label"] = new JsonObject(
            head.Labels.Select((label, id) => KeyValuePair.Create(id.ToString(CultureInfo.InvariantCulture), (JsonNode?)label))
        );
        json["label2id"] = new JsonObject(head.Labels.Select((label, id) => KeyValuePair.Create(label, (JsonNode?)id)));
        json["problem_type"] = "single_label_classification";
        json["pad_token_id"] = head.PadTokenId;
    }

    static JsonObject Write(PictureEncoderSettings pictures) =>
        new()
        {
            ["height"] = pictures.Height,
            ["width"] = pictures.Width,
            ["patch_height"] = pictures.PatchHeight,
            ["patch_width"] = pictures.PatchWidth,
            ["channels"] = pictures.Channels,
            ["hidden_size"] = pictures.HiddenSize,
            ["num_hidden_layers"] = pictures.NumHiddenLayers,
            ["num_attention_heads"] = pictures.NumAttentionHeads,
            ["intermediate_size"] = pictures.IntermediateSize,
        };

    static void WriteHeads(JsonObject json, ModelConfiguration c)
    {
        json["num_attention_heads"] = c.NumAttentionHeads;
        json["num_key_value_heads"] = c.NumKeyValueHeads;
        json["head_dim"] = c.HeadDim;
        json["rope_theta"] = c.RopeTheta;
        json["rope_scaling"] = Write(c.RopeScaling);
    }

    static void WriteAttention(JsonObject json, ModelConfiguration c, FamilyTraits traits)
    {
        if (traits.Windows == SlidingWindows.WhereSwitchedOn)
        {
            json["use_sliding_window"] = c.SlidingWindow is not null;
        }

        if (traits.Windows == SlidingWindows.WhereGiven || c.SlidingWindow is not null)
        {
            json["sliding_window"] = c.SlidingWindow;
        }

        if ((c.SlidingWindow is not null || traits.WindowPattern > 0) && traits.Fields.Contains("layer_types"))
        {
            json["layer_types"] = new JsonArray([
                .. Enumerable
                    .Range(0, c.NumHiddenLayers)
                    .Select(layer => JsonValue.Create(c.AttentionOf(layer).Window is null ? "full_attention" : "sliding_attention")),
            ]);
        }

        if (traits.WindowPattern > 0 && c.SlidingLayers is { } sliding)
        {
            // older versions of transformers know no layer_types
            json["sliding_window_pattern"] = sliding.TakeWhile(slides => slides).Count() + 1;
        }

        if (traits.NoRopeInterval > 0)
        {
            json["no_rope_layers"] = new JsonArray([
                .. Enumerable.Range(0, c.NumHiddenLayers).Select(layer => JsonValue.Create(c.NoRopeLayers.Contains(layer) ? 0 : 1)),
            ]);
        }

        if (traits.Fields.Contains("partial_rotary_factor"))
        {
            json["partial_rotary_factor"] = c.PartialRotaryFactor;
            json["original_max_position_embeddings"] = c.RopeScaling.OriginalMaxPositionEmbeddings ?? c.MaxPositionEmbeddings;
        }

        if (c.LocalRopeTheta is { } theta)
        {
            json["rope_local_base_freq"] = theta;
        }

        foreach (
            var (field, value) in new[]
            {
                ("query_pre_attn_scalar", c.QueryPreAttnScalar),
                ("attn_logit_softcapping", c.AttentionSoftCap),
                ("final_logit_softcapping", c.LogitSoftCap),
            }
        )
        {
            if (traits.Fields.Contains(field))
            {
                json[field] = value;
            }
        }
    }

    static void Write(JsonObject json, ExpertSettings experts, ExpertNames names)
    {
        json[names.CountField] = experts.NumExperts;
        json["num_experts_per_tok"] = experts.NumExpertsPerToken;
        json["moe_intermediate_size"] = experts.IntermediateSize;
        json["norm_topk_prob"] = experts.NormalizesTopK;
        json["router_aux_loss_coef"] = experts.RouterLossWeight;
        json["decoder_sparse_step"] = experts.SparseStep;
        json["mlp_only_layers"] = Numbers(experts.DenseLayers);
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

        if (scaling.Type == RopeType.LongRope)
        {
            json["type"] = "longrope"; // transformers' Phi-3 looks for this name
            Put("attention_factor", scaling.AttentionFactor);
            json["short_factor"] = Numbers(scaling.ShortFactor!);
            json["long_factor"] = Numbers(scaling.LongFactor!);
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

    static JsonArray Numbers<T>(IEnumerable<T> values) => new([.. values.Select(value => JsonValue.Create(value))]);
}
