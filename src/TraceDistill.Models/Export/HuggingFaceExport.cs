using TraceDistill.Data.Prompts;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Models.Export;

/// <summary>
/// A model directory as transformers, vLLM and the Hub expect it: configuration, weights in shards, tokenizer, generation settings.
/// </summary>
public static class HuggingFaceExport
{
    /// <param name="source">Model to export.</param>
    /// <param name="folder">An existing one.</param>
    /// <param name="dtype">How weights are stored; null: as they are.</param>
    /// <param name="quantized">
    /// Gives what a GGUF file makes of the weights, which are then written so, in float32; null: as they are.
    /// </param>
    /// <exception cref="InvalidInputException">The model is none.</exception>
    public static HuggingFaceSummary Run(
        ExportSource source,
        string folder,
        TensorDtype? dtype,
        Func<ModelConfiguration, QuantizedWeights>? quantized = null,
        CancellationToken cancellationToken = default
    )
    {
        dtype = quantized is null ? dtype : TensorDtype.Float32;
        using var weights = new WeightReader(source);
        var configuration = weights.Configuration;
        var tokenizer = Tokenizer.Load(source.Tokenizer);
        ModelDirectory.CheckTokenizer(source.Tokenizer, configuration, tokenizer.VocabularySize, tokenizer.ChatTemplateSource is not null);
        var stored = dtype ?? weights.DtypeOf("model.embed_tokens.weight");
        ModelDirectory.CopyTokenizer(source.Tokenizer, folder);
        TaskDescription.Load(source.Model)?.Save(folder);
        if (!File.Exists(Path.Combine(folder, GenerationConfig.FileName)))
        {
            GenerationConfig.Write(
                folder,
                source.Model,
                configuration.BosTokenId,
                configuration.EosTokenIds.Union(tokenizer.EndOfSequenceIds)
            );
        }

        var rounding = source.Adapter is null || stored == TensorDtype.Float32 ? null : new MergeRounding(DtypeOf);
        var file = quantized?.Invoke(configuration);
        var trained = new TrainedBlocks(configuration.QuantizationAware, source.Adapter is not null);
        var type = file?.Type ?? (stored == TensorDtype.Float32 ? "F32" : stored.TorchName());
        (trained.AreKept(type) ? configuration : configuration with { QuantizationAware = QuantizationAware.None }).Save(folder, stored);
        (string Name, long[] Shape)[] tensors = [.. ModelParameters.Shapes(configuration)];
        WeightFiles.Write(folder, DtypeOf, tensors, Values, ModelDirectory.ShardBytes);
        return new HuggingFaceSummary
        {
            Path = folder,
            Remark = configuration.Remark,
            Dtype = stored,
            QuantizationNote = trained.Note(type, file is null ? "dtype float32" : $"quantization {trained.Type}"),
            Parameters = tensors.Sum(tensor => tensor.Shape.ElementCount()),
            Bytes = Directory.EnumerateFiles(folder).Sum(file => new FileInfo(file).Length),
            AdapterRounding = rounding?.Share,
            Differences = configuration is { Recurrence: null, Pictures: null }
                ? []
                :
                [
                    $"transformers has no class for a {configuration.Traits.ModelType} model"
                        + $"{(configuration.Pictures is null ? "" : " with a picture_encoder")}, nor has vLLM: "
                        + "TraceDistill's serve and evaluate run what is exported",
                ],
        };

        ReadOnlySpan<float> Values(string name)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var values = weights.Read(name, DtypeOf(name).TorchName(), DtypeOf(name) == TensorDtype.Float16, rounding);
            file?.Round(name, values);
            return values.Span;
        }

        TensorDtype DtypeOf(string name) => dtype ?? weights.DtypeOf(name);
    }
}

/// <summary>Summary of an export in Hugging Face's layout.</summary>
public sealed record HuggingFaceSummary
{
    public required string Path { get; init; }

    /// <inheritdoc cref="ModelConfiguration.Remark"/>
    public string? Remark { get; init; }

    public required TensorDtype Dtype { get; init; }

    /// <summary>
    /// One line on what becomes of weights that were trained for a quantised type; null where they were not, or stay as they are.
    /// </summary>
    public string? QuantizationNote { get; init; }

    public required long Parameters { get; init; }

    public required long Bytes { get; init; }

    /// <summary>Differences from the layout that programs know, each a line.</summary>
    public required IReadOnlyList<string> Differences { get; init; }

    /// <summary>
    /// Size of what rounding merged weights to 16 bits does to them, by that of what the adapter does; null without either.
    /// </summary>
    public double? AdapterRounding { get; init; }
}
