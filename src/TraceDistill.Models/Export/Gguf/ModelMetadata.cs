using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>The keys that tell llama.cpp which network it has before it.</summary>
static class ModelMetadata
{
    const int QuantizationVersion = 2;

    /// <param name="metadata">Gets them.</param>
    /// <param name="configuration">The network.</param>
    /// <param name="name">The model's name in the file.</param>
    /// <param name="quantization">How its weights are stored.</param>
    /// <param name="file">The configuration's, for messages.</param>
    /// <exception cref="InvalidInputException">llama.cpp does not run such a network.</exception>
    public static void Add(GgufMetadata metadata, ModelConfiguration configuration, string name, GgufQuantization quantization, string file)
    {
        var architecture = configuration.Traits.GgufArchitecture ?? configuration.Family.ModelType();
        metadata.Add("general.architecture", architecture);
        metadata.Add("general.type", "model");
        metadata.Add("general.name", name);
        metadata.Add("general.file_type", FileType(quantization));
        metadata.Add("general.quantization_version", QuantizationVersion);
        metadata.Add($"{architecture}.vocab_size", configuration.VocabSize);
        metadata.Add($"{architecture}.context_length", configuration.MaxPositionEmbeddings);
        metadata.Add($"{architecture}.embedding_length", configuration.HiddenSize);
        metadata.Add($"{architecture}.block_count", configuration.NumHiddenLayers);
        metadata.Add($"{architecture}.feed_forward_length", configuration.IntermediateSize);
        metadata.Add($"{architecture}.attention.head_count", configuration.NumAttentionHeads);
        metadata.Add($"{architecture}.attention.head_count_kv", configuration.NumKeyValueHeads);
        metadata.Add($"{architecture}.attention.key_length", configuration.HeadDim);
        metadata.Add($"{architecture}.attention.value_length", configuration.HeadDim);
        metadata.Add($"{architecture}.attention.layer_norm_rms_epsilon", configuration.RmsNormEps);
        FamilyMetadata.Add(metadata, configuration, architecture, file);
        RotaryMetadata.Add(metadata, configuration, architecture, file);
    }

    /// <summary>llama.cpp's numbers of mixtures.</summary>
    static int FileType(GgufQuantization quantization) =>
        quantization switch
        {
            GgufQuantization.F32 => 0,
            GgufQuantization.F16 => 1,
            GgufQuantization.Q4_0 => 2,
            GgufQuantization.Q8_0 => 7,
            GgufQuantization.Q4_K_M => 15,
            GgufQuantization.Q6_K => 18,
            _ => 32,
        };
}
