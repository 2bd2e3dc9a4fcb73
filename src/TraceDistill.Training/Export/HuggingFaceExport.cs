using System.Text.Json.Nodes;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Tokenization;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Export;

/// <summary>A model directory as transformers, vLLM and the Hub expect it: configuration, weights in shards, tokenizer, generation settings.</summary>
public static class HuggingFaceExport
{
    /// <param name="modelDirectory">What to export.</param>
    /// <param name="folder">An existing one.</param>
    /// <param name="dtype">How weights are stored; null: as they are.</param>
    /// <exception cref="InvalidInputException">The model is none.</exception>
    public static HuggingFaceSummary Run(string modelDirectory, string folder, TensorDtype? dtype, CancellationToken cancellationToken = default)
    {
        var configuration = ModelConfiguration.Load(modelDirectory);
        var tokenizer = ModelDirectory.LoadTokenizer(modelDirectory);
        using var weights = new WeightReader(modelDirectory);
        var stored = dtype ?? weights.DtypeOf("model.embed_tokens.weight");
        ModelDirectory.CopyTokenizer(modelDirectory, folder);
        if (!File.Exists(Path.Combine(folder, GenerationConfig.FileName)))
        {
            WriteGenerationConfig(folder, configuration, tokenizer);
        }

        configuration.Save(folder, stored);
        // The wider ones first, so that every value lies at a multiple of its size.
        (string Name, long[] Shape)[] tensors = [.. ModelParameters.Shapes(configuration).OrderByDescending(tensor => DtypeOf(tensor.Name).Size())];
        WeightFiles.Write(folder, DtypeOf, tensors, Values, ModelDirectory.ShardBytes);
        return new HuggingFaceSummary
        {
            Path = folder,
            Dtype = stored,
            Parameters = tensors.Sum(tensor => tensor.Shape.Aggregate(1L, (product, size) => product * size)),
            Bytes = Directory.EnumerateFiles(folder).Sum(file => new FileInfo(file).Length),
        };

        ReadOnlySpan<float> Values(string name)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return weights.Read(name, stored.TorchName(), DtypeOf(name) == TensorDtype.Float16).Span;
        }

        TensorDtype DtypeOf(string name) => dtype ?? weights.DtypeOf(name);
    }

    static void WriteGenerationConfig(string folder, ModelConfiguration configuration, Tokenizer tokenizer)
    {
        int[] ends = [.. configuration.EosTokenIds.Union(tokenizer.EndOfSequenceIds)];
        var json = new JsonObject { ["eos_token_id"] = ends.Length == 1 ? ends[0] : new JsonArray([.. ends.Select(id => JsonValue.Create(id))]) };
        if (configuration.BosTokenId is { } begin)
        {
            json["bos_token_id"] = begin;
        }

        AtomicFile.WriteAllText(Path.Combine(folder, GenerationConfig.FileName), json.ToJsonString() + "\n");
    }
}

/// <summary>What an export in Hugging Face's layout came to.</summary>
public sealed record HuggingFaceSummary
{
    public required string Path { get; init; }

    public required TensorDtype Dtype { get; init; }

    public required long Parameters { get; init; }

    public required long Bytes { get; init; }
}
