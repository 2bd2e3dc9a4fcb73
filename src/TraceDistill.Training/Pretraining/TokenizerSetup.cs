using System.Text.Json.Nodes;
using TraceDistill.Data.Files;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Pretraining;

/// <summary>Makes the tokenizer of a model that is trained from scratch, with roles, think tags and chat template.</summary>
public static class TokenizerSetup
{
    const string EndOfTurn = "<|end|>";
    const string Padding = "<|pad|>";

    const string Template =
        "{%- for message in messages -%}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{%- endfor -%}"
        + "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}";

    /// <summary>Tokens that are no text. The think tags are not special: they belong to what the model says.</summary>
    public static IReadOnlyList<AddedToken> Added { get; } =
    [
        new("<|system|>"),
        new("<|user|>"),
        new("<|assistant|>"),
        new(EndOfTurn),
        new(Padding),
        new(ReasoningSplitter.Open) { Special = false },
        new(ReasoningSplitter.Close) { Special = false },
    ];

    /// <summary>
    /// Learns a vocabulary from <paramref name="corpus"/> and writes all tokenizer files into <paramref name="directory"/>.
    /// </summary>
    public static void Create(IEnumerable<string> corpus, int vocabularySize, int maxLength, string directory)
    {
        Directory.CreateDirectory(directory);
        BpeTrainer.Train(corpus, vocabularySize, Added, directory);
        Write(
            directory,
            Tokenizer.SettingsFileName,
            new JsonObject
            {
                ["tokenizer_class"] = "PreTrainedTokenizerFast",
                ["eos_token"] = EndOfTurn,
                ["pad_token"] = Padding,
                ["model_max_length"] = maxLength,
                ["clean_up_tokenization_spaces"] = false,
                ["chat_template"] = Template,
            }
        );
        var tokenizer = Tokenizer.Load(directory);
        Write(
            directory,
            "generation_config.json",
            new JsonObject
            {
                ["eos_token_id"] = tokenizer.TryGetId(EndOfTurn, out var end) ? end : null,
                ["pad_token_id"] = tokenizer.TryGetId(Padding, out var pad) ? pad : null,
                ["do_sample"] = true,
                ["temperature"] = 1.0,
            }
        );
    }

    static void Write(string directory, string name, JsonObject json) => JsonFile.Write(Path.Combine(directory, name), json);
}
