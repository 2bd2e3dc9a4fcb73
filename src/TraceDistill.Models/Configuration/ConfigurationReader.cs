using System.Globalization;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Configuration;

/// <summary>Reads a <c>config.json</c>.</summary>
/// <exception cref="InvalidInputException">A field is absent, ill-typed or not supported.</exception>
sealed class ConfigurationReader(JsonField json)
{
    const string Full = "full_attention",
        Sliding = "sliding_attention",
        SingleLabel = "single_label_classification";

    public ModelConfiguration Read()
    {
        var type = json.Find("model_type")?.Word();
        var family = ModelFamilies.Parse(type)
            ?? throw json.Fail(
                $"model_type {(type is null ? "is missing" : $"\"{type}\" is not supported")}; "
                    + $"supported: {string.Join(", ", ModelFamilies.Names)}"
            );
        var (traits, defaults) = (family.Traits(), family.Traits().Defaults);
        UnsupportedFields.Refuse(json, traits);
        var hidden = json["hidden_size"].Integer();
        var heads = traits.IsRecurrent ? 0 : json["num_attention_heads"].Integer();
        var layers = json["num_hidden_layers"].Integer();
        var window = Window(traits);
        var noRope = NoRopeLayers(traits, layers);
        return new ModelConfiguration
        {
            Family = family,
            VocabSize = json["vocab_size"].Integer(),
            HiddenSize = hidden,
            IntermediateSize = json["intermediate_size"].Integer(),
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = traits.IsRecurrent ? 0 : json.Find("num_key_value_heads")?.Integer() ?? heads,
            HeadDim = traits.IsRecurrent ? 0 : json.Find("head_dim")?.Integer() ?? defaults.HeadDim ?? hidden / Math.Max(1, heads),
            Recurrence = traits.IsRecurrent
                ? new() { StateSize = json["state_size"].Integer(), ConvKernel = json["conv_kernel"].Integer() }
                : null,
            AttentionBias = traits.ReadsAttentionBias && json.Boolean("attention_bias", absent: false),
            RmsNormEps = json.Find("rms_norm_eps")?.Number() ?? defaults.RmsNormEps,
            RopeTheta = (Rope?.Find("rope_theta") ?? json.Find("rope_theta"))?.Number() ?? defaults.RopeTheta,
            LocalRopeTheta = defaults.LocalRopeTheta is null ? null : LocalTheta ?? defaults.LocalRopeTheta,
            RopeScaling = ReadScaling(),
            PartialRotaryFactor = (Rope?.Find("partial_rotary_factor") ?? json.Find("partial_rotary_factor"))?.Number() ?? 1,
            MaxPositionEmbeddings = json.Find("max_position_embeddings")?.Integer() ?? defaults.MaxPositionEmbeddings,
            SlidingWindow = window,
            SlidingLayers = window is null ? null : SlidingLayers(traits, layers, noRope),
            NoRopeLayers = noRope,
            QueryPreAttnScalar = Known(traits, "query_pre_attn_scalar", defaults.QueryPreAttnScalar),
            AttentionSoftCap = Known(traits, "attn_logit_softcapping", defaults.AttentionSoftCap),
            LogitSoftCap = Known(traits, "final_logit_softcapping", defaults.LogitSoftCap),
            Experts = traits.Experts is { } names ? ReadExperts(names, defaults) : null,
            Head = ReadHead(),
            TieWordEmbeddings = json.Find("tie_word_embeddings")?.Boolean() ?? defaults.TieWordEmbeddings,
            InitializerRange = json.Find("initializer_range")?.Number() ?? 0.02,
            QuantizationAware = ReadQuantization(),
            EarlyExitLayers = json.Find(ConfigurationWriter.ExitsField)?.Integers() ?? [],
            Pictures = json.Find(ConfigurationWriter.PictureField) is { } pictures ? ReadPictures(pictures) : null,
            BosTokenId = json.Find("bos_token_id")?.Integer(),
            EosTokenIds = json.Find("eos_token_id")?.Integers() ?? [],
        };
    }

    /// <summary>A classifier is known by its class: <c>id2label</c> stands in configurations of other models too.</summary>
    ClassificationHead? ReadHead()
    {
        var architectures = json.Find("architectures")?.Items().Select(name => name.Word()).ToList() ?? [];
        if (architectures.Select(ClassificationHead.KindOf).FirstOrDefault(kind => kind is not null) is not { } kind)
        {
            return null;
        }

        if (json.Find("problem_type")?.Word() is { } type && type != SingleLabel)
        {
            throw json.Fail(
                $"problem_type \"{type}\" is not supported; a classifier here gives each text or token one label: {SingleLabel}"
            );
        }

        if (json.Find("id2label") is not { } labels)
        {
            // transformers leaves out what is its default: two labels of these names.
            var count = json.Find("num_labels")?.Integer() ?? 2;
            return count < 2
                ? throw json.Fail($"num_labels {count} is not supported; a classifier here tells two or more labels apart")
                : new ClassificationHead(kind, [.. Enumerable.Range(0, count).Select(id => $"LABEL_{id}")])
                {
                    PadTokenId = json.Find("pad_token_id")?.Integer(),
                };
        }

        var named = labels.Entries().ToDictionary(entry => entry.Name, entry => entry.Value.Text());
        string[] ordered =
        [
            .. Enumerable
                .Range(0, named.Count)
                .Select(id =>
                    named.GetValueOrDefault(id.ToString(CultureInfo.InvariantCulture))
                    ?? throw labels.Wrong($"a map with a name for each id from 0 to {named.Count - 1}")
                ),
        ];
        return ordered.Length < 2 || ordered.Distinct().Count() < ordered.Length
            ? throw labels.Wrong("a map of two or more labels, no two of a name")
            : new ClassificationHead(kind, ordered) { PadTokenId = json.Find("pad_token_id")?.Integer() };
    }

    static PictureEncoderSettings ReadPictures(JsonField block) =>
        new()
        {
            Height = block["height"].Integer(),
            Width = block["width"].Integer(),
            PatchHeight = block["patch_height"].Integer(),
            PatchWidth = block["patch_width"].Integer(),
            Channels = block["channels"].Integer(),
            HiddenSize = block["hidden_size"].Integer(),
            NumHiddenLayers = block["num_hidden_layers"].Integer(),
            NumAttentionHeads = block["num_attention_heads"].Integer(),
            IntermediateSize = block["intermediate_size"].Integer(),
        };

    /// <summary>A type that this version does not know is none that it could say anything about.</summary>
    QuantizationAware ReadQuantization() =>
        Enum.TryParse<QuantizationAware>(json.Find(ConfigurationWriter.QuantizationField)?.Text(), ignoreCase: true, out var type)
        && Enum.IsDefined(type)
            ? type
            : QuantizationAware.None;

    /// <summary>
    /// Older files have <c>rope_scaling</c>, which may be null, newer ones
    /// <c>rope_parameters</c> with the base in it, for each kind of layers where there are two.
    /// </summary>
    JsonField? Rope => json.Find("rope_parameters") is { } parameters ? parameters.Find(Full) ?? parameters : json.Find("rope_scaling");

    double? LocalTheta => (json.Find("rope_parameters")?.Find(Sliding)?.Find("rope_theta") ?? json.Find("rope_local_base_freq"))?.Number();

    /// <returns>A number that may be null in the file, which is another thing than its absence.</returns>
    double? Known(FamilyTraits traits, string field, double? silent) =>
        !traits.Fields.Contains(field) ? null
        : json.Has(field) ? json.Find(field)?.Number()
        : silent;

    int? Window(FamilyTraits traits) =>
        traits.Windows switch
        {
            SlidingWindows.None => null,
            SlidingWindows.WhereSwitchedOn when !json.Boolean("use_sliding_window", absent: false) => null,
            _ => json.Has("sliding_window") ? json.Find("sliding_window")?.Integer() : traits.Defaults.SlidingWindow,
        };

    List<bool>? SlidingLayers(FamilyTraits traits, int layers, IReadOnlyList<int> noRope)
    {
        if (json.Find("layer_types") is { } types)
        {
            return
            [
                .. types
                    .Items()
                    .Select(type =>
                        type.Word() switch
                        {
                            Sliding => true,
                            Full => false,
                            var other => throw json.Fail($"layer_types: \"{other}\" is not supported; supported: {Full}, {Sliding}"),
                        }
                    ),
            ];
        }

        var pattern = traits.WindowPattern > 0 ? json.Find("sliding_window_pattern")?.Integer() ?? traits.WindowPattern : 0;
        return traits switch
        {
            { Windows: SlidingWindows.WhereGiven } => ModelConfiguration.WindowPattern(layers, pattern),
            { NoRopeInterval: > 0 } => [.. Enumerable.Range(0, layers).Select(noRope.Contains)],
            _ when json.Find("max_window_layers")?.Integer() is { } first =>
            [
                .. Enumerable.Range(0, layers).Select(layer => layer >= first),
            ],
            _ => null,
        };
    }

    int[] NoRopeLayers(FamilyTraits traits, int layers)
    {
        if (traits.NoRopeInterval == 0)
        {
            return [];
        }

        if (json.Find("no_rope_layers") is not { } given)
        {
            return [.. ModelConfiguration.EveryNth(layers, json.Find("no_rope_layer_interval")?.Integer() ?? traits.NoRopeInterval)];
        }

        int[] rotates = [.. given.Items().Select(layer => layer.Integer())];
        return rotates.Length == layers
            ? [.. Enumerable.Range(0, layers).Where(layer => rotates[layer] == 0)]
            : throw given.Wrong($"an array with a number for each of {layers} layers");
    }

    ExpertSettings ReadExperts(ExpertNames names, FamilyDefaults defaults) =>
        new()
        {
            NumExperts = json.Find(names.CountField)?.Integer() ?? defaults.NumExperts,
            NumExpertsPerToken = json.Find("num_experts_per_tok")?.Integer() ?? defaults.NumExpertsPerToken,
            IntermediateSize = defaults.ExpertIntermediateSize is { } usual
                ? json.Find("moe_intermediate_size")?.Integer() ?? usual
                : json["intermediate_size"].Integer(),
            NormalizesTopK = defaults.NormalizesTopK || json.Boolean("norm_topk_prob", absent: false),
            RouterLossWeight = json.Find("router_aux_loss_coef")?.Number() ?? 0.001,
            SparseStep = json.Find("decoder_sparse_step")?.Integer() ?? 1,
            DenseLayers = json.Find("mlp_only_layers") is { } dense ? [.. dense.Items().Select(layer => layer.Integer())] : [],
        };

    RopeScaling ReadScaling()
    {
        if (Rope is not { } rope)
        {
            return RopeScaling.None;
        }

        var name = (rope.Find("rope_type") ?? rope.Find("type"))?.Word() ?? "default";
        if (name == "su" || (name == "yarn" && rope.Find("short_factor") is not null))
        {
            name = "longrope"; // as it was called before
        }

        string[] known = [.. Enum.GetNames<RopeType>().Select(known => known.ToLowerInvariant())];
        if (!known.Contains(name.ToLowerInvariant()))
        {
            throw json.Fail($"rope_scaling of type \"{name}\" is not supported; supported: {string.Join(", ", known)}");
        }

        var type = Enum.Parse<RopeType>(name, ignoreCase: true);

        if (type == RopeType.Default)
        {
            return RopeScaling.None;
        }

        var usual = new RopeScaling { Type = type };
        return usual with
        {
            Factor = type == RopeType.LongRope ? Number("factor") ?? 1 : rope["factor"].Number(),
            OriginalMaxPositionEmbeddings = (int?)Number("original_max_position_embeddings")
                ?? json.Find("original_max_position_embeddings")?.Integer(),
            LowFreqFactor = Number("low_freq_factor") ?? usual.LowFreqFactor,
            HighFreqFactor = Number("high_freq_factor") ?? usual.HighFreqFactor,
            BetaFast = Number("beta_fast") ?? usual.BetaFast,
            BetaSlow = Number("beta_slow") ?? usual.BetaSlow,
            AttentionFactor = Number("attention_factor"),
            Mscale = Number("mscale"),
            MscaleAllDim = Number("mscale_all_dim"),
            Truncate = rope.Boolean("truncate", absent: true),
            ShortFactor = type == RopeType.LongRope ? Numbers("short_factor") : null,
            LongFactor = type == RopeType.LongRope ? Numbers("long_factor") : null,
        };

        double? Number(string field) => rope.Find(field)?.Number();

        List<double> Numbers(string field) => [.. rope[field].Items().Select(number => number.Number())];
    }
}
