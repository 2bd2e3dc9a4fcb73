using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Core.Errors;

namespace TraceDistill.Training.Models;

/// <summary>Reads the fields of one <c>config.json</c>, naming file and field where one is absent, ill-typed or not supported.</summary>
sealed class ConfigurationReader(string path, JsonObject json)
{
    public ModelConfiguration Read()
    {
        var type = json["model_type"]?.ToString();
        var family = ModelFamilies.Parse(type)
            ?? throw new InvalidInputException($"{path}: model_type \"{type}\" is not supported; supported: {string.Join(", ", ModelFamilies.Names)}");
        RefuseWhatIsNotBuilt();
        var hidden = Int("hidden_size");
        var heads = Int("num_attention_heads");
        return new ModelConfiguration
        {
            Family = family,
            VocabSize = Int("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = Int("intermediate_size"),
            NumHiddenLayers = Int("num_hidden_layers"),
            NumAttentionHeads = heads,
            NumKeyValueHeads = OptionalInt("num_key_value_heads") ?? heads,
            HeadDim = OptionalInt("head_dim") ?? (family == ModelFamily.Qwen3 ? 128 : hidden / Math.Max(1, heads)), // the defaults of transformers
            AttentionBias = family != ModelFamily.Qwen2 && (Optional<bool>("attention_bias") ?? false),
            RmsNormEps = OptionalDouble("rms_norm_eps") ?? 1e-6,
            RopeTheta = Rope?["rope_theta"] is { } theta ? Value<double>("rope_theta", theta) : OptionalDouble("rope_theta") ?? 10_000,
            RopeScaling = ReadScaling(),
            MaxPositionEmbeddings = OptionalInt("max_position_embeddings") ?? (family == ModelFamily.Llama ? 2_048 : 32_768),
            TieWordEmbeddings = Optional<bool>("tie_word_embeddings") ?? false,
            InitializerRange = OptionalDouble("initializer_range") ?? 0.02,
            BosTokenId = OptionalInt("bos_token_id"),
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

        var name = (rope["rope_type"] ?? rope["type"])?.ToString() ?? "default";
        if (!Enum.TryParse<RopeType>(name, ignoreCase: true, out var type) || int.TryParse(name, out _))
        {
            throw new InvalidInputException(
                $"{path}: rope_scaling of type \"{name}\" is not supported; supported: {string.Join(", ", Enum.GetNames<RopeType>().Select(known => known.ToLowerInvariant()))}");
        }

        if (type == RopeType.Default)
        {
            return RopeScaling.None;
        }

        var usual = new RopeScaling { Type = type };
        return usual with
        {
            Factor = Number("factor") ?? throw new InvalidInputException($"{path}: rope_scaling: factor is missing"),
            OriginalMaxPositionEmbeddings = (int?)Number("original_max_position_embeddings") ?? OptionalInt("original_max_position_embeddings"),
            LowFreqFactor = Number("low_freq_factor") ?? usual.LowFreqFactor,
            HighFreqFactor = Number("high_freq_factor") ?? usual.HighFreqFactor,
            BetaFast = Number("beta_fast") ?? usual.BetaFast,
            BetaSlow = Number("beta_slow") ?? usual.BetaSlow,
            AttentionFactor = Number("attention_factor"),
            Mscale = Number("mscale"),
            MscaleAllDim = Number("mscale_all_dim"),
            Truncate = rope["truncate"] is not { } truncate || Value<bool>("truncate", truncate),
        };

        double? Number(string field) => rope[field] is { } node ? Value<double>($"rope_scaling: {field}", node) : null;
    }

    void RefuseWhatIsNotBuilt()
    {
        foreach (var field in new[] { "mlp_bias", "use_sliding_window" })
        {
            if (Optional<bool>(field) == true)
            {
                throw new InvalidInputException($"{path}: {field} is not supported");
            }
        }

        if (json["quantization_config"] is JsonObject)
        {
            throw new InvalidInputException($"{path}: quantization_config: quantised weights are not supported; take the checkpoint in float32, float16 or bfloat16");
        }

        if ((json["hidden_act"] ?? json["hidden_activation"])?.ToString() is { } activation and not ("silu" or "swish"))
        {
            throw new InvalidInputException($"{path}: hidden_act \"{activation}\" is not supported; supported: silu");
        }
    }

    List<int> EndOfSequenceIds() => json["eos_token_id"] switch
    {
        null => [],
        JsonArray many => [.. many.Select(id => Value<int>("eos_token_id", id))],
        var one => [Value<int>("eos_token_id", one)],
    };

    int Int(string field) => OptionalInt(field) ?? throw new InvalidInputException($"{path}: {field} is missing");

    int? OptionalInt(string field) => Optional<int>(field);

    double? OptionalDouble(string field) => Optional<double>(field);

    T? Optional<T>(string field)
        where T : struct => json[field] is { } node ? Value<T>(field, node) : null;

    T Value<T>(string field, JsonNode? node)
    {
        try
        {
            return node!.GetValue<T>();
        }
        catch (Exception error) when (error is InvalidOperationException or FormatException or JsonException or NullReferenceException)
        {
            throw new InvalidInputException($"{path}: {field} is {node?.ToJsonString() ?? "null"}, not a {typeof(T).Name}", error);
        }
    }
}
