using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Serving.Tests.Support;

/// <summary>A small random model with a byte-level tokenizer and a chat template, written in Hugging Face layout.</summary>
sealed class TinyModelDirectory : IDisposable
{
    const string Config = """
        {
          "eos_token": "<|end|>",
          "chat_template": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"
        }
        """;

    readonly TemporaryDirectory _directory = new();

    /// <param name="pictures">The model's encoder of pictures; null for a model that reads text.</param>
    public TinyModelDirectory(PictureEncoderSettings? pictures = null)
    {
        AddedToken[] added = [new("<|end|>"), new("<think>"), new("</think>")];
        BpeTrainer.Train(["the cat sat on the mat", "größer als 日本語 und ☃", "12 + 34 = 46"], 300, added, Path);
        File.WriteAllText(System.IO.Path.Combine(Path, "tokenizer_config.json"), Config);
        Tokenizer = Tokenizer.Load(Path);
        Parameters = new ModelParameters(
            new ModelConfiguration
            {
                VocabSize = 304, // More rows than tokens, as real models have.
                HiddenSize = 32,
                IntermediateSize = 48,
                NumHiddenLayers = 2,
                NumAttentionHeads = 4,
                NumKeyValueHeads = 2,
                HeadDim = 8,
                MaxPositionEmbeddings = 20_000,
                InitializerRange = 0.2,
                Pictures = pictures,
            }
        );
        Parameters.Initialize(3);
        ModelDirectory.Save(Path, Parameters);
    }

    public string Path => _directory.Path;

    public Tokenizer Tokenizer { get; }

    public ModelParameters Parameters { get; }

    public int End => Tokenizer.EndOfSequenceIds.Single();

    public void Dispose()
    {
        Parameters.Dispose();
        _directory.Dispose();
    }
}
