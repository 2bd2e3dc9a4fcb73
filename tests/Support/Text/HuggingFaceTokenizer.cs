using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;
using Reference = Tokenizers.DotNet.Tokenizer;

namespace TraceDistill.Tests.Support;

/// <summary>
/// Hugging Face's own tokenizers in this process, as Tokenizers.DotNet brings them. They add special tokens
/// to every text and decode none, so what a file says of those is changed where a test wants something else.
/// </summary>
sealed class HuggingFaceTokenizer : IDisposable
{
    readonly Reference _published;
    readonly Reference _plain;

    /// <summary>Skips the calling test where the package has no library for the machine.</summary>
    /// <param name="file">A tokenizer.json.</param>
    public HuggingFaceTokenizer(string file)
    {
        Require();
        _published = new Reference(file);
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        json["post_processor"] = null;
        foreach (var token in json["added_tokens"]!.AsArray())
        {
            token!["special"] = false;
        }

        _plain = Load(json);
    }

    HuggingFaceTokenizer(JsonNode json) => (_published, _plain) = (Load(json), Load(json));

    public int[] Encode(string text) => Ids(_plain.Encode(text));

    public int[] EncodeWithSpecialTokens(string text) => Ids(_published.Encode(text));

    public string Decode(int[] ids) => _plain.Decode(MemoryMarshal.Cast<int, uint>(ids).ToArray());

    public string DecodeWithoutSpecialTokens(int[] ids) => _published.Decode(MemoryMarshal.Cast<int, uint>(ids).ToArray());

    /// <summary>Normalized text, by a tokenizer of <see cref="OfNormalizer"/>.</summary>
    public string Normalize(string text) => Encoding.UTF8.GetString(Array.ConvertAll(_plain.Encode(text), id => (byte)id));

    public void Dispose()
    {
        _published.Dispose();
        _plain.Dispose();
    }

    /// <summary>A normalizer with a vocabulary of bytes alone, which spells out what it makes of texts.</summary>
    /// <param name="step">The <c>normalizer</c> field of a tokenizer.json.</param>
    public static HuggingFaceTokenizer OfNormalizer(string step)
    {
        Require();
        return new HuggingFaceTokenizer(
            new JsonObject
            {
                ["version"] = "1.0",
                ["added_tokens"] = new JsonArray(),
                ["normalizer"] = JsonNode.Parse(step),
                ["model"] = new JsonObject
                {
                    ["type"] = "BPE",
                    ["byte_fallback"] = true,
                    ["vocab"] = new JsonObject(
                        Enumerable.Range(0, 256).Select(value => KeyValuePair.Create($"<0x{value:X2}>", (JsonNode?)value))
                    ),
                    ["merges"] = new JsonArray(),
                },
            }
        );
    }

    static void Require() =>
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64,
            "the package of Hugging Face's tokenizers is for linux-x64 alone"
        );

    static Reference Load(JsonNode json)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, json.ToJsonString());
            return new Reference(file);
        }
        finally
        {
            File.Delete(file);
        }
    }

    static int[] Ids(uint[] ids) => MemoryMarshal.Cast<uint, int>(ids).ToArray();
}
