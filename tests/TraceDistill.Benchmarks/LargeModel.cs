using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Benchmarks;

/// <summary>A random checkpoint of the size of real ones.</summary>
static class LargeModel
{
    /// <summary>Qwen2.5-0.5B's.</summary>
    static readonly ModelConfiguration Shape = new()
    {
        Family = ModelFamily.Qwen2,
        VocabSize = 151_936,
        HiddenSize = 896,
        IntermediateSize = 4_864,
        NumHiddenLayers = 24,
        NumAttentionHeads = 14,
        NumKeyValueHeads = 2,
        HeadDim = 64,
        MaxPositionEmbeddings = 32_768,
        RopeTheta = 1_000_000,
        TieWordEmbeddings = true,
    };

    /// <summary>Writes the model with a tokenizer.</summary>
    public static void Write(string directory, TensorDtype dtype)
    {
        Directory.CreateDirectory(directory);
        BpeTrainer.Train(["What is 12 + 34? 12 plus 34 is 46."], 300, [new("<|end|>")], directory);
        File.WriteAllText(Path.Combine(directory, "tokenizer_config.json"), """{"eos_token": "<|end|>"}""");
        using var parameters = new ModelParameters(Shape);
        var block = new float[1 << 20];
        var random = new Random(1);
        for (var i = 0; i < block.Length; i++)
        {
            block[i] = (float)((random.NextDouble() - 0.5) * 0.07);
        }

        for (var first = 0; first < parameters.Count; first += block.Length)
        {
            block.AsSpan(0, (int)Math.Min(block.Length, parameters.Count - first)).CopyTo(parameters.Flat.Span[first..]);
        }

        foreach (var name in parameters.Names.Where(name => name.EndsWith("norm.weight", StringComparison.Ordinal)))
        {
            parameters.Values(name).Fill(1);
        }

        ModelDirectory.Save(directory, parameters, dtype);
    }
}
