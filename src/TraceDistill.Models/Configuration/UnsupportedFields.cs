using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Configuration;

/// <summary>
/// Fields of <c>config.json</c> that change the arithmetic of a decoder and are not built for its family: checkpoints of one family are sometimes passed
/// off as one of another.
/// </summary>
static class UnsupportedFields
{
    /// <summary>Fields and the value at which they change nothing; so do null and absence, for which alone <see langword="null"/> stands.</summary>
    static readonly (string Field, JsonValue? Neutral)[] Fields =
    [
        // Biases and norms that a family does not have.
        ("mlp_bias", Of(false)), ("attention_out_bias", Of(false)), ("lm_head_bias", Of(false)), ("use_bias", Of(false)),
        ("qk_layernorm", Of(false)), ("use_post_norm", Of(false)), ("sandwich_norm", Of(false)), ("clip_qkv", null),

        // Attention to a part of the positions, or with other scores.
        ("use_sliding_window", Of(false)), ("attention_chunk_size", null), ("attn_temperature_tuning", Of(false)), ("alibi", Of(false)),
        ("attention_multiplier", null), ("query_pre_attn_scalar", null), ("attn_logit_softcapping", null), ("attention_value_scale", Of(1)), ("parallel_attn", Of(false)),
        ("use_parallel_residual", Of(false)), ("add_cross_attention", Of(false)),

        // Rotations of a part of the channels, in another order, or of some layers only.
        ("partial_rotary_factor", Of(1)), ("rotary_pct", Of(1)), ("rope_pct", Of(1)), ("rope_interleave", Of(false)),
        ("rope_interleaved", Of(false)), ("no_rope_layer_interval", null), ("use_rope", Of(true)), ("use_mrope", Of(false)),

        // Multipliers, such as Granite's and MiniCPM's, and caps, such as Gemma's.
        ("embedding_multiplier", Of(1)), ("residual_multiplier", Of(1)), ("logits_scaling", Of(1)), ("logit_scale", Of(1)),
        ("lm_head_multiplier", Of(1)), ("scale_emb", Of(1)), ("scale_depth", Of(1)), ("dim_model_base", null), ("final_logit_softcapping", null), ("mup_enabled", Of(false)),

        // Weights that are stored in another form, or chosen by token.
        ("pretraining_tp", Of(1)), ("quantization_config", null), ("num_experts", Of(0)), ("num_local_experts", Of(0)),
        ("n_routed_experts", Of(0)), ("router_jitter_noise", Of(0)), ("shared_expert_intermediate_size", Of(0)), ("use_bidirectional_attention", Of(false)),
    ];

    /// <summary>Fields with an entry for each layer, and the entry at which that layer is as all others.</summary>
    static readonly (string Field, JsonValue Neutral)[] Layers = [("layer_types", JsonValue.Create("full_attention")), ("no_rope_layers", Of(1))];

    /// <param name="json">The file's.</param>
    /// <param name="traits">Name those that the family reads.</param>
    /// <exception cref="InvalidInputException">One of them is set.</exception>
    public static void Refuse(JsonFields json, FamilyTraits traits)
    {
        foreach (var (field, neutral) in Fields.Where(field => !traits.Fields.Contains(field.Field)))
        {
            if (json[field] is { } value && !IsEqual(value, neutral))
            {
                throw Unsupported(field, value, field == "quantization_config" ? "take the checkpoint in float32, float16 or bfloat16" : null);
            }
        }

        foreach (var (field, neutral) in Layers.Where(field => !traits.Fields.Contains(field.Field)))
        {
            if (json[field] is { } value && !(value is JsonArray layers && layers.All(layer => layer is not null && IsEqual(layer, neutral))))
            {
                throw Unsupported(field, value);
            }
        }

        foreach (var name in new[] { "rope_parameters", "rope_scaling" })
        {
            switch (json[name])
            {
                case null:
                    break;
                case JsonObject rope when !traits.Fields.Contains("partial_rotary_factor") && rope["partial_rotary_factor"] is { } factor && !IsEqual(factor, Of(1)):
                    throw Unsupported($"{name}: partial_rotary_factor", factor);
                case JsonObject rope when rope.FirstOrDefault(entry => IsUnknown(entry.Key, entry.Value)) is { Key: { } key }:
                    throw Unsupported($"{name}: {key}", rope[key]!);
                case JsonObject:
                    break;
                case var other:
                    throw new InvalidInputException($"{json.Path}: {name} is {JsonFields.Shown(other)}, not an object");
            }
        }

        var isGelu = traits.Gate == GateActivation.GeluTanh;
        var activation = JsonFields.Word(isGelu ? json["hidden_activation"] ?? json["hidden_act"] : json["hidden_act"] ?? json["hidden_activation"]);
        if (activation is not null && !(isGelu ? activation is "gelu_pytorch_tanh" : activation is "silu" or "swish"))
        {
            throw new InvalidInputException($"{json.Path}: hidden_act \"{activation}\" is not supported; supported: {(isGelu ? "gelu_pytorch_tanh" : "silu")}");
        }

        bool IsUnknown(string key, JsonNode? value) => key is "mrope_section" or "short_mscale" or "long_mscale"
            || (value is JsonObject && !(traits.Defaults.LocalRopeTheta is not null && key is "full_attention" or "sliding_attention"));

        InvalidInputException Unsupported(string field, JsonNode value, string? advice = null) =>
            new($"{json.Path}: {field} is not supported; it changes the arithmetic and is {JsonFields.Shown(value)} here{(advice is null ? "" : "; " + advice)}");
    }

    static JsonValue Of(bool value) => JsonValue.Create(value);

    static JsonValue Of(double value) => JsonValue.Create(value);

    /// <summary>1 and 1.0 are equal, as are 0 and false: files are written by many programs.</summary>
    static bool IsEqual(JsonNode value, JsonValue? neutral)
    {
        return neutral is not null && (JsonNode.DeepEquals(value, neutral) || (Number(value) is { } number && Number(neutral) == number));

        static double? Number(JsonNode node) => node.GetValueKind() switch
        {
            JsonValueKind.Number => node.GetValue<double>(),
            JsonValueKind.True => 1,
            JsonValueKind.False => 0,
            _ => null,
        };
    }
}
