using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Core.Errors;

namespace TraceDistill.Training.Models;

/// <summary>Reads the fields of one <c>config.json</c>, naming file and field where one is absent, ill-typed or not supported.</summary>
sealed class ConfigurationReader(string path, JsonObject json)
{
    public ModelConfiguration Read()
    {
        RefuseWhatIsNotBuilt();
        var hidden = Int("hidden_size");
        var heads = Int("num_attention_heads");
        return new ModelConfiguration
        {
            VocabSize = Int("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = Int("intermediate_size"),
            NumHiddenLayers = Int("num_hidden_layers"),
            NumAttentionHeads = heads,
            NumKeyValueHeads = OptionalInt("num_key_value_heads") ?? heads,
            HeadDim = OptionalInt("head_dim") ?? hidden / Math.Max(1, heads),
            RmsNormEps = OptionalDouble("rms_norm_eps") ?? 1e-6,
            RopeTheta = OptionalDouble("rope_theta") ?? 10_000,
            MaxPositionEmbeddings = OptionalInt("max_position_embeddings") ?? 2_048,
            TieWordEmbeddings = Optional<bool>("tie_word_embeddings") ?? false,
            InitializerRange = OptionalDouble("initializer_range") ?? 0.02,
            BosTokenId = OptionalInt("bos_token_id"),
            EosTokenIds = EndOfSequenceIds(),
        };
    }

    void RefuseWhatIsNotBuilt()
    {
        var type = json["model_type"]?.ToString();
        if (type != "llama")
        {
            throw new InvalidInputException($"{path}: model_type \"{type}\" is not supported; supported: llama");
        }

        if (json["rope_scaling"] is JsonObject scaling && (scaling["rope_type"] ?? scaling["type"])?.ToString() is not (null or "default"))
        {
            throw new InvalidInputException($"{path}: rope_scaling of type \"{scaling["rope_type"] ?? scaling["type"]}\" is not supported");
        }

        foreach (var bias in new[] { "attention_bias", "mlp_bias" })
        {
            if (Optional<bool>(bias) == true)
            {
                throw new InvalidInputException($"{path}: {bias} is not supported");
            }
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
