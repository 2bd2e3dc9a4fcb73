using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>
/// A model directory as one GGUF file: weights, tokenizer and chat template, as llama.cpp and what is built on it load them.
/// </summary>
public static class GgufExport
{
    static readonly string[] PhiTokens = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

    /// <param name="source">Model to export.</param>
    /// <param name="path">The file; whole or not at all.</param>
    /// <param name="name">The model's name in the file.</param>
    /// <param name="quantization">How weights are stored.</param>
    /// <exception cref="InvalidInputException">The model is none, or GGUF cannot hold it.</exception>
    public static GgufSummary Run(
        ExportSource source,
        string path,
        string name,
        GgufQuantization quantization,
        CancellationToken cancellationToken = default
    )
    {
        using var weights = new WeightReader(source);
        var configuration = weights.Configuration;
        var metadata = new GgufMetadata();
        ModelMetadata.Add(
            metadata,
            configuration,
            Harmless(name, source),
            quantization,
            Path.Combine(source.Model, ModelConfiguration.FileName)
        );
        var differences = VocabularyMetadata.Add(metadata, configuration, source.Tokenizer);
        var tensors = new TensorPlan(configuration, quantization).Tensors();
        var encoder = new TensorEncoder(weights, RotaryMetadata.Factors(configuration), cancellationToken);
        AtomicFile.Write(path, stream => GgufWriter.Write(stream, metadata, tensors, encoder.Write));
        return new GgufSummary
        {
            Path = path,
            Remark = configuration.Remark,
            Quantization = quantization,
            QuantizationNote = new TrainedBlocks(configuration.QuantizationAware, source.Adapter is not null).Note(
                quantization.ToString(),
                $"quantization {configuration.QuantizationAware}"
            ),
            Bytes = new FileInfo(path).Length,
            Tensors = tensors.CountBy(tensor => tensor.Type.ToString()).ToDictionary(),
            BitsPerWeight = Math.Round(8.0 * tensors.Sum(tensor => tensor.Bytes) / tensors.Sum(tensor => tensor.Elements), 2),
            Differences = [.. differences, .. FamilyMetadata.Differences(configuration)],
        };
    }

    /// <summary>The weights of a model as its file has them, for <see cref="HuggingFaceExport"/>.</summary>
    public static Func<ModelConfiguration, QuantizedWeights> WeightsIn(GgufQuantization quantization) =>
        configuration => TensorPlan.WeightsOf(configuration, quantization);

    /// <summary>
    /// llama.cpp takes a model by whose name it is Phi-3 for Microsoft's own, and does not load it without the tokens of that one.
    /// </summary>
    static string Harmless(string name, ExportSource source)
    {
        var tokenizer = Tokenizer.Load(source.Tokenizer);
        return PhiTokens.All(token => tokenizer.TryGetId(token, out _))
            ? name
            : name.Replace("phi-3", "phi 3", StringComparison.OrdinalIgnoreCase)
                .Replace("phi3", "phi 3", StringComparison.OrdinalIgnoreCase);
    }
}

/// <summary>Summary of a GGUF file.</summary>
public sealed record GgufSummary
{
    public required string Path { get; init; }

    /// <inheritdoc cref="ModelConfiguration.Remark"/>
    public string? Remark { get; init; }

    public required GgufQuantization Quantization { get; init; }

    /// <summary>
    /// One line on what the file makes of weights that were trained for a quantised type; null where they were not, or stay as they are.
    /// </summary>
    public string? QuantizationNote { get; init; }

    public required long Bytes { get; init; }

    /// <summary>Number of tensors by storage type.</summary>
    public required IReadOnlyDictionary<string, int> Tensors { get; init; }

    public required double BitsPerWeight { get; init; }

    /// <summary>In what llama.cpp reads text otherwise than the tokenizer and the model do, each a line.</summary>
    public required IReadOnlyList<string> Differences { get; init; }
}
