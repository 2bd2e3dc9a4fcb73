using System.Text.Json.Nodes;
using TraceDistill.Core.Errors;

namespace TraceDistill.Models.Configuration;

/// <summary>Reads a <c>config.json</c>.</summary>
/// <exception cref="InvalidInputException">A field is absent, ill-typed or not supported.</exception>
sealed class ConfigurationReader(JsonFields json)
{
    public ModelConfiguration Read()
    {
        var type = JsonFields.Word(json["model_type"]);
        var family = ModelFamilies.Parse(type)
            ?? throw new InvalidInputException(
                $"{json.Path}: model_type {(type is null ? "is missing" : $"\"{type}\" is not supported")}; supported: {string.Join(", ", ModelFamilies.Names)}");
        UnsupportedFields.Refuse(json);
        var hidden = json.Int("hidden_size");
        var heads = json.Int("num_attention_heads");
        return new ModelConfiguration
        {
            Family = family,
            VocabSize = json.Int("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = json.Int("intermediate_size"),
            NumHiddenLayers = json.Int("num_hidden_layers"),
            NumAttentionHeads = heads,
            NumKeyValueHeads = json.Optional<int>("num_key_value_heads") ?? heads,
            HeadDim = json.Optional<int>("head_dim") ?? (family == ModelFamily.Qwen3 ? 128 : hidden / Math.Max(1, heads)), // the defaults of transformers
            AttentionBias = family != ModelFamily.Qwen2 && (json.Optional<bool>("attention_bias") ?? false),
            RmsNormEps = json.Optional<double>("rms_norm_eps") ?? 1e-6,
            RopeTheta = Rope?["rope_theta"] is { } theta ? json.Value<double>("rope_theta", theta) : json.Optional<double>("rope_theta") ?? 10_000,
            RopeScaling = ReadScaling(),
            MaxPositionEmbeddings = json.Optional<int>("max_position_embeddings") ?? (family == ModelFamily.Llama ? 2_048 : 32_768),
            TieWordEmbeddings = json.Optional<bool>("tie_word_embeddings") ?? false,
            InitializerRange = json.Optional<double>("initializer_range") ?? 0.02,
            BosTokenId = json.Optional<int>("bos_token_id"),
            EosTokenIds = EndOfSequenceIds(),
        };
    }

    /// <summary>Older files have <c>rope_scaling</c>, which may be null, newer ones <c>rope_parameters</c> with the base in it.</summary>
    JsonObject? Rope => json["rope_parameters"] as JsonObject ?? json["rope_scaling"] as JsonObject;

    RopeScaling ReadScaling()
    {
        if (Rope is not { } rope)
        {
            return RopeScaling.None;
        }

        var name = JsonFields.Word(rope["rope_type"] ?? rope["type"]) ?? "default";
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
            Factor = Number("factor") ?? throw new InvalidInputException($"{json.Path}: rope_scaling: factor is missing"),
            OriginalMaxPositionEmbeddings = (int?)Number("original_max_position_embeddings") ?? json.Optional<int>("original_max_position_embeddings"),
            LowFreqFactor = Number("low_freq_factor") ?? usual.LowFreqFactor,
            HighFreqFactor = Number("high_freq_factor") ?? usual.HighFreqFactor,
            BetaFast = Number("beta_fast") ?? usual.BetaFast,
            BetaSlow = Number("beta_slow") ?? usual.BetaSlow,
            AttentionFactor = Number("attention_factor"),
            Mscale = Number("mscale"),
            MscaleAllDim = Number("mscale_all_dim"),
            Truncate = rope["truncate"] is not { } truncate || json.Value<bool>("truncate", truncate),
        };

        double? Number(string field) => rope[field] is { } node ? json.Value<double>($"rope_scaling: {field}", node) : null;
    }

    List<int> EndOfSequenceIds() => json["eos_token_id"] switch
    {
        null => [],
        JsonArray many => [.. many.Select(id => json.Value<int>("eos_token_id", id))],
        var one => [json.Value<int>("eos_token_id", one)],
    };
}
