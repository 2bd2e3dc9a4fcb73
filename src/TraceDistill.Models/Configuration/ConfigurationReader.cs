using System.Text.Json.Nodes;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Configuration;

/// <summary>Reads a <c>config.json</c>.</summary>
/// <exception cref="InvalidInputException">A field is absent, ill-typed or not supported.</exception>
sealed class ConfigurationReader(JsonFields json)
{
    const string Full = "full_attention", Sliding = "sliding_attention";

    public ModelConfiguration Read()
    {
        var type = JsonFields.Word(json["model_type"]);
        var family = ModelFamilies.Parse(type)
            ?? throw new InvalidInputException(
                $"{json.Path}: model_type {(type is null ? "is missing" : $"\"{type}\" is not supported")}; supported: {string.Join(", ", ModelFamilies.Names)}");
        var (traits, defaults) = (family.Traits(), family.Traits().Defaults);
        UnsupportedFields.Refuse(json, traits);
        var hidden = json.Int("hidden_size");
        var heads = json.Int("num_attention_heads");
        var layers = json.Int("num_hidden_layers");
        var window = Window(traits);
        var noRope = NoRopeLayers(traits, layers);
        return new ModelConfiguration
        {
            Family = family,
            VocabSize = json.Int("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = json.Int("intermediate_size"),
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = json.Optional<int>("num_key_value_heads") ?? heads,
            HeadDim = json.Optional<int>("head_dim") ?? defaults.HeadDim ?? hidden / Math.Max(1, heads),
            AttentionBias = traits.ReadsAttentionBias && (json.Optional<bool>("attention_bias") ?? false),
            RmsNormEps = json.Optional<double>("rms_norm_eps") ?? defaults.RmsNormEps,
            RopeTheta = Rope?["rope_theta"] is { } theta
                ? json.Value<double>("rope_theta", theta)
                : json.Optional<double>("rope_theta") ?? defaults.RopeTheta,
            LocalRopeTheta = defaults.LocalRopeTheta is null ? null : LocalTheta ?? defaults.LocalRopeTheta,
            RopeScaling = ReadScaling(),
            PartialRotaryFactor = Rope?["partial_rotary_factor"] is { } part
                ? json.Value<double>("rope_parameters: partial_rotary_factor", part)
                : json.Optional<double>("partial_rotary_factor") ?? 1,
            MaxPositionEmbeddings = json.Optional<int>("max_position_embeddings") ?? defaults.MaxPositionEmbeddings,
            SlidingWindow = window,
            SlidingLayers = window is null ? null : SlidingLayers(traits, layers, noRope),
            NoRopeLayers = noRope,
            QueryPreAttnScalar = Known(traits, "query_pre_attn_scalar", defaults.QueryPreAttnScalar),
            AttentionSoftCap = Known(traits, "attn_logit_softcapping", defaults.AttentionSoftCap),
            LogitSoftCap = Known(traits, "final_logit_softcapping", defaults.LogitSoftCap),
            Experts = traits.Experts is { } names ? ReadExperts(names, defaults) : null,
            TieWordEmbeddings = json.Optional<bool>("tie_word_embeddings") ?? defaults.TieWordEmbeddings,
            InitializerRange = json.Optional<double>("initializer_range") ?? 0.02,
            BosTokenId = json.Optional<int>("bos_token_id"),
            EosTokenIds = EndOfSequenceIds(),
        };
    }

    /// <summary>Older files have <c>rope_scaling</c>, which may be null, newer ones <c>rope_parameters</c> with the base in it, for each kind of layers where there are two.</summary>
    JsonObject? Rope => json["rope_parameters"] is JsonObject parameters ? parameters[Full] as JsonObject ?? parameters : json["rope_scaling"] as JsonObject;

    double? LocalTheta => json["rope_parameters"]?[Sliding]?["rope_theta"] is { } theta
        ? json.Value<double>($"rope_parameters: {Sliding}: rope_theta", theta)
        : json.Optional<double>("rope_local_base_freq");

    /// <returns>A number that may be null in the file, which is another thing than its absence.</returns>
    double? Known(FamilyTraits traits, string field, double? silent) =>
        !traits.Fields.Contains(field) ? null : json.Has(field) ? json.Optional<double>(field) : silent;

    int? Window(FamilyTraits traits) => traits.Windows switch
    {
        SlidingWindows.None => null,
        SlidingWindows.WhereSwitchedOn when json.Optional<bool>("use_sliding_window") != true => null,
        _ => json.Has("sliding_window") ? json.Optional<int>("sliding_window") : traits.Defaults.SlidingWindow,
    };

    List<bool>? SlidingLayers(FamilyTraits traits, int layers, IReadOnlyList<int> noRope)
    {
        if (json["layer_types"] is { } types)
        {
            var names = types as JsonArray ?? throw new InvalidInputException($"{json.Path}: layer_types is {JsonFields.Shown(types)}, not a list");
            return [.. names.Select(type => JsonFields.Word(type) switch
            {
                Sliding => true,
                Full => false,
                var other => throw new InvalidInputException($"{json.Path}: layer_types: \"{other}\" is not supported; supported: {Full}, {Sliding}"),
            })];
        }

        var pattern = traits.WindowPattern > 0 ? json.Optional<int>("sliding_window_pattern") ?? traits.WindowPattern : 0;
        return traits switch
        {
            { Windows: SlidingWindows.WhereGiven } => ModelConfiguration.WindowPattern(layers, pattern),
            { NoRopeInterval: > 0 } => [.. Enumerable.Range(0, layers).Select(noRope.Contains)],
            _ when json.Optional<int>("max_window_layers") is { } first => [.. Enumerable.Range(0, layers).Select(layer => layer >= first)],
            _ => null,
        };
    }

    IReadOnlyList<int> NoRopeLayers(FamilyTraits traits, int layers)
    {
        if (traits.NoRopeInterval == 0)
        {
            return [];
        }

        return json["no_rope_layers"] switch
        {
            JsonArray many when many.Count == layers =>
                (int[])[.. many.Index().Where(layer => json.Value<int>("no_rope_layers", layer.Item) == 0).Select(layer => layer.Index)],
            null => ModelConfiguration.EveryNth(layers, json.Optional<int>("no_rope_layer_interval") ?? traits.NoRopeInterval),
            var other => throw new InvalidInputException(
                $"{json.Path}: no_rope_layers is {JsonFields.Shown(other)}, not a list with a number for each of {layers} layers"),
        };
    }

    ExpertSettings ReadExperts(ExpertNames names, FamilyDefaults defaults) => new()
    {
        NumExperts = json.Optional<int>(names.CountField) ?? defaults.NumExperts,
        NumExpertsPerToken = json.Optional<int>("num_experts_per_tok") ?? defaults.NumExpertsPerToken,
        IntermediateSize = defaults.ExpertIntermediateSize is { } usual
            ? json.Optional<int>("moe_intermediate_size") ?? usual
            : json.Int("intermediate_size"),
        NormalizesTopK = defaults.NormalizesTopK || (json.Optional<bool>("norm_topk_prob") ?? false),
        RouterLossWeight = json.Optional<double>("router_aux_loss_coef") ?? 0.001,
        SparseStep = json.Optional<int>("decoder_sparse_step") ?? 1,
        DenseLayers = json["mlp_only_layers"] switch
        {
            null => [],
            JsonArray many => [.. many.Select(layer => json.Value<int>("mlp_only_layers", layer))],
            var other => throw new InvalidInputException($"{json.Path}: mlp_only_layers is {JsonFields.Shown(other)}, not a list"),
        },
    };

    RopeScaling ReadScaling()
    {
        if (Rope is not { } rope)
        {
            return RopeScaling.None;
        }

        var name = JsonFields.Word(rope["rope_type"] ?? rope["type"]) ?? "default";
        if (name == "su" || (name == "yarn" && rope["short_factor"] is not null))
        {
            name = "longrope"; // as it was called before
        }

        string[] known = [.. Enum.GetNames<RopeType>().Select(known => known.ToLowerInvariant())];
        if (!known.Contains(name.ToLowerInvariant()))
        {
            throw new InvalidInputException($"{json.Path}: rope_scaling of type \"{name}\" is not supported; supported: {string.Join(", ", known)}");
        }

        var type = Enum.Parse<RopeType>(name, ignoreCase: true);

        if (type == RopeType.Default)
        {
            return RopeScaling.None;
        }

        var usual = new RopeScaling { Type = type };
        return usual with
        {
            Factor = Number("factor") ?? (type == RopeType.LongRope ? 1 : throw new InvalidInputException($"{json.Path}: rope_scaling: factor is missing")),
            OriginalMaxPositionEmbeddings = (int?)Number("original_max_position_embeddings") ?? json.Optional<int>("original_max_position_embeddings"),
            LowFreqFactor = Number("low_freq_factor") ?? usual.LowFreqFactor,
            HighFreqFactor = Number("high_freq_factor") ?? usual.HighFreqFactor,
            BetaFast = Number("beta_fast") ?? usual.BetaFast,
            BetaSlow = Number("beta_slow") ?? usual.BetaSlow,
            AttentionFactor = Number("attention_factor"),
            Mscale = Number("mscale"),
            MscaleAllDim = Number("mscale_all_dim"),
            Truncate = rope["truncate"] is not { } truncate || json.Value<bool>("truncate", truncate),
            ShortFactor = type == RopeType.LongRope ? Numbers("short_factor") : null,
            LongFactor = type == RopeType.LongRope ? Numbers("long_factor") : null,
        };

        double? Number(string field) => rope[field] is { } node ? json.Value<double>($"rope_scaling: {field}", node) : null;

        List<double> Numbers(string field) => rope[field] is JsonArray many
            ? [.. many.Select(number => json.Value<double>($"rope_scaling: {field}", number))]
            : throw new InvalidInputException($"{json.Path}: rope_scaling: {field} is {(rope[field] is { } other ? JsonFields.Shown(other) : "missing")}, not a list of numbers");
    }

    List<int> EndOfSequenceIds() => json["eos_token_id"] switch
    {
        null => [],
        JsonArray many => [.. many.Select(id => json.Value<int>("eos_token_id", id))],
        var one => [json.Value<int>("eos_token_id", one)],
    };
}
