using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Benchmarks;

/// <summary>A random model of the embedded teacher's size: what a step costs does not depend on what the weights say.</summary>
static class BenchmarkModel
{
    public static ModelConfiguration Shape { get; } =
        new()
        {
            VocabSize = 512,
            HiddenSize = 256,
            IntermediateSize = 704,
            NumHiddenLayers = 4,
            NumAttentionHeads = 4,
            NumKeyValueHeads = 2,
            HeadDim = 64,
            MaxPositionEmbeddings = 1024,
            TieWordEmbeddings = true,
        };

    /// <summary>Writes the model with a tokenizer and a chat template into a directory.</summary>
    public static void Write(string directory)
    {
        AddedToken[] added = [new("<|end|>"), new("<think>"), new("</think>")];
        BpeTrainer.Train(["What is 12 + 34? 12 plus 34 is 46. The answer is 46."], Shape.VocabSize, added, directory);
        File.WriteAllText(
            Path.Combine(directory, "tokenizer_config.json"),
            """{"eos_token": "<|end|>", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}<think>"}"""
        );
        using var parameters = Create();
        ModelDirectory.Save(directory, parameters);
    }

    public static ModelParameters Create()
    {
        var parameters = new ModelParameters(Shape);
        parameters.Initialize(seed: 1);
        return parameters;
    }
}
