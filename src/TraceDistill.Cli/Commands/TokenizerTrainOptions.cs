using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Commands;

/// <summary>Settings of <c>tokenizer train</c>.</summary>
sealed record TokenizerTrainOptions
{
    [InputPath]
    [Description("Text files to learn from: .txt, a text a line, or .jsonl, a text in a field of each line")]
    public required IReadOnlyList<string> Corpus { get; init; }

    /// <value>text.</value>
    [Description("Field of .jsonl files that holds the text")]
    public string Field { get; init; } = "text";

    /// <value>32,768 tokens, 256 of them the bytes.</value>
    [Range(256 + 7, 1_000_000, ErrorMessage = "must be at least 263: the bytes and the special tokens")]
    [Description("Ids of the vocabulary, special tokens included")]
    public int VocabSize { get; init; } = 32_768;

    /// <value>8,192.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Longest sequence in tokens that tokenizer_config.json names")]
    public int MaxLength { get; init; } = 8_192;
}
