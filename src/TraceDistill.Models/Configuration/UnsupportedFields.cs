using System.Globalization;
using System.Text.Json;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Configuration;

/// <summary>
/// Fields of <c>config.json</c> that change the arithmetic of a decoder and are not built for
/// its family: checkpoints of one family are sometimes passed off as one of another.
/// </summary>
static class UnsupportedFields
{
    /// <summary>
    /// Fields and the value at which they change nothing; so do null and absence, for which alone <see langword="null"/> stands.
    /// </summary>
    static readonly (string Field, object? Neutral)[] Fields =
    [
        // Biases and norms that a family does not have.
        ("mlp_bias", false),
        ("attention_out_bias", false),
        ("lm_head_bias", false),
        ("use_bias", false),
        ("qk_layernorm", false),
        ("use_post_norm", false),
        ("sandwich_norm", false),
        ("clip_qkv", null),
        // Attention to a part of the positions, or with other scores.
        ("use_sliding_window", false),
        ("attention_chunk_size", null),
        ("attn_temperature_tuning", false),
        ("alibi", false),
        ("attention_multiplier", null),
        ("query_pre_attn_scalar", null),
        ("attn_logit_softcapping", null),
        ("attention_value_scale", 1),
        ("parallel_attn", false),
        ("use_parallel_residual", false),
        ("add_cross_attention", false),
        // Rotations of a part of the channels, in another order, or of some layers only.
        ("partial_rotary_factor", 1),
        ("rotary_pct", 1),
        ("rope_pct", 1),
        ("rope_interleave", false),
        ("rope_interleaved", false),
        ("no_rope_layer_interval", null),
        ("use_rope", true),
        ("use_mrope", false),
        // Multipliers, such as Granite's and MiniCPM's, and caps, such as Gemma's.
        ("embedding_multiplier", 1),
        ("residual_multiplier", 1),
        ("logits_scaling", 1),
        ("logit_scale", 1),
        ("lm_head_multiplier", 1),
        ("scale_emb", 1),
        ("scale_depth", 1),
        ("dim_model_base", null),
        ("final_logit_softcapping", null),
        ("mup_enabled", false),
        // Weights that are stored in another form, or chosen by token.
        ("pretraining_tp", 1),
        ("quantization_config", null),
        ("num_experts", 0),
        ("num_local_experts", 0),
        ("n_routed_experts", 0),
        ("router_jitter_noise", 0),
        ("shared_expert_intermediate_size", 0),
        ("use_bidirectional_attention", false),
        // Recurrences, and what fields of other implementations of minGRU say.
        ("state_size", null),
        ("conv_kernel", null),
        ("min_gru_expansion", null),
        ("enable_conv", false),
    ];

    /// <summary>Fields that a model without attention cannot have: one that has them mixes both.</summary>
    static readonly string[] AttentionFields =
    [
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "sliding_window",
    ];

    /// <summary>Fields with an entry for each layer, and the entry at which that layer is as all others.</summary>
    static readonly (string Field, object Neutral)[] Layers = [("layer_types", "full_attention"), ("no_rope_layers", 1)];

    /// <param name="json">The file's.</param>
    /// <param name="traits">Name those that the family reads.</param>
    /// <exception cref="InvalidInputException">One of them is set.</exception>
    public static void Refuse(JsonField json, FamilyTraits traits)
    {
        foreach (var (field, neutral) in Fields.Where(field => !traits.Fields.Contains(field.Field)))
        {
            if (json.Find(field) is { } value && !IsEqual(value, neutral))
            {
                throw Unsupported(value, field == "quantization_config" ? "take the checkpoint in float32, float16 or bfloat16" : null);
            }
        }

        foreach (var field in traits.IsRecurrent ? AttentionFields : [])
        {
            if (json.Find(field) is { } value)
            {
                throw Unsupported(value, $"{traits.ModelType} has no attention");
            }
        }

        foreach (var (field, neutral) in Layers.Where(field => !traits.Fields.Contains(field.Field)))
        {
            if (
                json.Find(field) is { } value
                && !(value.Kind == JsonValueKind.Array && value.Items().All(layer => IsEqual(layer, neutral)))
            )
            {
                throw Unsupported(value);
            }
        }

        foreach (var name in new[] { "rope_parameters", "rope_scaling" })
        {
            if (json.Find(name) is not { } rope)
            {
                continue;
            }

            if (!traits.Fields.Contains("partial_rotary_factor") && rope.Find("partial_rotary_factor") is { } factor && !IsEqual(factor, 1))
            {
                throw Unsupported(factor);
            }

            foreach (var (_, unknown) in rope.Entries().Where(entry => IsUnknown(entry.Name, entry.Value.Kind)))
            {
                throw Unsupported(unknown);
            }
        }

        var isGelu = traits.Gate == GateActivation.GeluTanh;
        string[] names = isGelu ? ["hidden_activation", "hidden_act"] : ["hidden_act", "hidden_activation"];
        var activation = (json.Find(names[0]) ?? json.Find(names[1]))?.Word();
        if (activation is not null && !(isGelu ? activation is "gelu_pytorch_tanh" : activation is "silu" or "swish"))
        {
            throw json.Fail($"hidden_act \"{activation}\" is not supported; supported: {(isGelu ? "gelu_pytorch_tanh" : "silu")}");
        }

        bool IsUnknown(string name, JsonValueKind kind) =>
            name is "mrope_section" or "short_mscale" or "long_mscale"
                ? kind != JsonValueKind.Null
                : kind == JsonValueKind.Object
                    && !(traits.Defaults.LocalRopeTheta is not null && name is "full_attention" or "sliding_attention");
    }

    static InvalidInputException Unsupported(JsonField value, string? advice = null) =>
        value.Fail(
            $"{value.Name} is not supported; it changes the arithmetic and is {value.Shown} here{(advice is null ? "" : "; " + advice)}"
        );

    /// <summary>1 and 1.0 are equal, as are 0 and false: files are written by many programs.</summary>
    static bool IsEqual(JsonField value, object? neutral) =>
        (neutral, value.Kind) switch
        {
            (string word, JsonValueKind.String) => value.Text() == word,
            (bool or int, JsonValueKind.Number) => value.Number() == Convert.ToDouble(neutral, CultureInfo.InvariantCulture),
            (bool or int, JsonValueKind.True or JsonValueKind.False) => Convert.ToDouble(value.Boolean(), CultureInfo.InvariantCulture)
                == Convert.ToDouble(neutral, CultureInfo.InvariantCulture),
            _ => false,
        };
}
