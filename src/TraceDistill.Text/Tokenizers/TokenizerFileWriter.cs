using System.Text.Encodings.Web;
using System.Text.Json;
using TraceDistill.Text.Files;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Writes a trained byte-level BPE as Hugging Face's <c>tokenizer.json</c>.</summary>
static class TokenizerFileWriter
{
    static readonly JsonWriterOptions Options = new()
    {
        Indented = true,
        IndentSize = 2,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    static readonly JsonSerializerOptions RelaxedOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    static readonly object ByteLevel = new
    {
        type = "ByteLevel",
        add_prefix_space = false,
        trim_offsets = true,
        use_regex = true,
    };

    static readonly object PreTokenizer = new
    {
        type = "Sequence",
        pretokenizers = new[] { new { type = "Digits", individual_digits = true }, ByteLevel },
    };

    /// <param name="path">The file to write.</param>
    /// <param name="spellings">The tokens in order of id.</param>
    /// <param name="merges">Pairs of ids in order of rank.</param>
    /// <param name="added">Tokens that take the ids after those.</param>
    public static void Write(
        string path,
        IReadOnlyList<string> spellings,
        IReadOnlyList<(int Left, int Right)> merges,
        IReadOnlyList<AddedToken> added
    )
    {
        AtomicFile.Write(path, stream =>
        {
            using var json = new Utf8JsonWriter(stream, Options);
            json.WriteStartObject();
            json.WriteString("version", "1.0");
            json.WriteNull("truncation");
            json.WriteNull("padding");
            WriteAddedTokens(json, added, spellings.Count);
            json.WriteNull("normalizer");
            json.WritePropertyName("pre_tokenizer");
            json.WriteRawValue(JsonSerializer.Serialize(PreTokenizer, RelaxedOptions));
            json.WriteNull("post_processor");
            json.WritePropertyName("decoder");
            json.WriteRawValue(JsonSerializer.Serialize(ByteLevel, RelaxedOptions));
            WriteModel(json, spellings, merges);
            json.WriteEndObject();
        });
    }

    static void WriteAddedTokens(Utf8JsonWriter json, IReadOnlyList<AddedToken> added, int firstId)
    {
        json.WriteStartArray("added_tokens");
        foreach (var (index, token) in added.Index())
        {
            json.WriteStartObject();
            json.WriteNumber("id", firstId + index);
            json.WriteString("content", token.Content);
            json.WriteBoolean("single_word", token.SingleWord);
            json.WriteBoolean("lstrip", token.StripLeft);
            json.WriteBoolean("rstrip", token.StripRight);
            json.WriteBoolean("normalized", token.Normalized);
            json.WriteBoolean("special", token.Special);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    static void WriteModel(Utf8JsonWriter json, IReadOnlyList<string> spellings, IReadOnlyList<(int Left, int Right)> merges)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        foreach (var name in new[] { "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix" })
        {
            json.WriteNull(name);
        }
        foreach (var name in new[] { "fuse_unk", "byte_fallback", "ignore_merges" })
        {
            json.WriteBoolean(name, false);
        }
        json.WriteStartObject("vocab");
        foreach (var (id, spelling) in spellings.Index())
        {
            json.WriteNumber(spelling, id);
        }
        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach (var (left, right) in merges)
        {
            json.WriteStringValue($"{spellings[left]} {spellings[right]}");
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
