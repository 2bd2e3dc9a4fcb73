using System.Text.Encodings.Web;
using System.Text.Json;
using TraceDistill.Core.Storage;

namespace TraceDistill.Core.Tokenization;

/// <summary>What a model directory says about its tokenizer beside <c>tokenizer.json</c>; written as transformers reads it.</summary>
public sealed record TokenizerConfig
{
    static readonly JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    /// <summary>The token that ends a sequence.</summary>
    public required string EosToken { get; init; }

    /// <summary>The token that starts a sequence.</summary>
    /// <value>none</value>
    public string? BosToken { get; init; }

    /// <summary>The token that fills up batches.</summary>
    /// <value>none</value>
    public string? PadToken { get; init; }

    /// <summary>The longest sequence the model takes, in tokens.</summary>
    public required int ModelMaxLength { get; init; }

    /// <summary>The Jinja source of the chat template.</summary>
    /// <value>none</value>
    public string? ChatTemplate { get; init; }

    /// <summary>Writes <c>tokenizer_config.json</c> into a model directory.</summary>
    public void Write(string directory)
    {
        var fields = JsonSerializer.SerializeToNode(this, Options)!.AsObject();
        fields["tokenizer_class"] = "PreTrainedTokenizerFast";
        fields["clean_up_tokenization_spaces"] = false;
        AtomicFile.WriteAllText(Path.Combine(directory, TokenizerSettings.FileName), fields.ToJsonString(Options) + "\n");
    }
}
