using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace TraceDistill.Benchmarks;

/// <summary>Microsoft.ML.Tokenizers' byte-level BPE over the vocabulary, merges and pattern of a tokenizer.json.</summary>
static class MicrosoftTokenizer
{
    const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <returns>Null for a vocabulary that is not byte-level.</returns>
    public static BpeTokenizer? Create(string file)
    {
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        if (json["pre_tokenizer"]?.ToJsonString().Contains("ByteLevel", StringComparison.Ordinal) != true)
        {
            return null;
        }

        var steps = json["pre_tokenizer"]!["pretokenizers"]?.AsArray() ?? [];
        var pattern = steps.Select(step => (string?)step!["pattern"]?["Regex"]).FirstOrDefault(regex => regex is not null) ?? Gpt2Pattern;
        return BpeTokenizer.Create(
            new BpeOptions(json["model"]!["vocab"]!.AsObject().Select(token => KeyValuePair.Create(token.Key, (int)token.Value!)))
            {
                Merges = json["model"]!["merges"]!
                    .AsArray()
                    .Select(merge => merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : (string)merge!),
                ByteLevel = true,
                PreTokenizer = new RegexPreTokenizer(new Regex(pattern, RegexOptions.Compiled), specialTokens: null),
            }
        );
    }
}
