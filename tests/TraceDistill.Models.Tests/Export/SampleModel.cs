using System.Text.Json.Nodes;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Pretraining;

namespace TraceDistill.Models.Tests.Export;

/// <summary>
/// Model directories with random weights, norms and biases as a training leaves them, and a tokenizer learned from a few sentences.
/// </summary>
static class SampleModel
{
    public static readonly string[] Texts =
    [
        "The cat sat on the mat, and it's 1234 o'clock; WE'LL see.",
        "  two spaces\n\n\tand a tab  ",
        "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich",
        "<|user|>3 + 4 = ?<|end|><|assistant|><think>7</think>",
        "日本語のテキスト 🙂👍🏽 x²",
        "a\r\nb\u00a0c don't 'tis they'Re",
        "",
    ];

    public static ModelConfiguration Shape { get; } =
        new()
        {
            VocabSize = 384,
            HiddenSize = 64,
            IntermediateSize = 96,
            NumHiddenLayers = 3,
            NumAttentionHeads = 4,
            NumKeyValueHeads = 2,
            HeadDim = 16,
            MaxPositionEmbeddings = 256,
            InitializerRange = 0.2,
            RmsNormEps = 1e-5,
        };

    public static void Write(
        string directory,
        ModelConfiguration configuration,
        string? preTokenizer = null,
        TensorDtype dtype = TensorDtype.Float32
    )
    {
        using var parameters = new ModelParameters(configuration);
        parameters.Initialize(seed: 3);
        var random = new Random(4);
        foreach (var name in parameters.Names.Where(name => parameters.ShapeOf(name).Length == 1))
        {
            foreach (ref var value in parameters.Values(name))
            {
                value += (float)(0.5 * (random.NextDouble() - 0.5));
            }
        }

        ModelDirectory.Save(directory, parameters, dtype);
        TokenizerSetup.Create(Texts, 320, configuration.MaxPositionEmbeddings, directory);
        if (preTokenizer is not null)
        {
            Edit(directory, tokenizer => tokenizer["pre_tokenizer"] = JsonNode.Parse(preTokenizer));
        }
    }

    /// <summary>Changes tokenizer.json.</summary>
    public static void Edit(string directory, Action<JsonNode> edit)
    {
        var path = Path.Combine(directory, "tokenizer.json");
        var tokenizer = JsonNode.Parse(File.ReadAllText(path))!;
        edit(tokenizer);
        File.WriteAllText(path, tokenizer.ToJsonString());
    }
}
