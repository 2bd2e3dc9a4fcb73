using System.Collections.Concurrent;
using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

/// <summary>Ids and texts recorded from Hugging Face's own tokenizers.</summary>
public class TokenizerReferenceTests
{
    static readonly ConcurrentDictionary<string, Tokenizer> Loaded = [];

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama-3.2")]
    public void Encode_PublishedVectors_GiveTheSameIds(string model)
    {
        var tokenizer = Load(model);
        foreach (var item in Cases(model, "vectors.json"))
        {
            Assert.Equal(Ids(item), tokenizer.Encode(Text(item, "text")));
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama-3.2")]
    public void Encode_ParityTexts_GiveTheSameIdsAndTexts(string model)
    {
        var tokenizer = Load(model);
        foreach (var item in Cases(model, "parity.json"))
        {
            var ids = tokenizer.Encode(Text(item, "text"));
            Assert.Equal(Ids(item), ids);
            Assert.Equal(Text(item, "decoded"), tokenizer.Decode(ids));
            Assert.Equal(Text(item, "decoded_skip_special"), tokenizer.Decode(ids, skipSpecialTokens: true));
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama-3.2")]
    public void Decode_ArbitraryIds_GiveTheSameTexts(string model)
    {
        var tokenizer = Load(model);
        foreach (var item in Cases(model, "decode.json"))
        {
            Assert.Equal(Text(item, "decoded"), tokenizer.Decode(Ids(item)));
            Assert.Equal(Text(item, "decoded_skip_special"), tokenizer.Decode(Ids(item), skipSpecialTokens: true));
        }
    }

    [Fact]
    public void Encode_WithSpecialTokens_StartsWithLlamasBeginOfText()
    {
        var tokenizer = Load("llama-3.2");
        Assert.Equal([128000, 9906, 1917], tokenizer.Encode("Hello world", addSpecialTokens: true));
    }

    static Tokenizer Load(string model) =>
        Loaded.GetOrAdd(model, static name => Tokenizer.Load(TestPaths.SharedData($"tokenizers/{name}")));

    static JsonElement.ArrayEnumerator Cases(string model, string file) =>
        JsonDocument.Parse(File.ReadAllText(TestPaths.SharedData($"tokenizers/{model}/{file}"))).RootElement.EnumerateArray();

    static int[] Ids(JsonElement item) => [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];

    static string Text(JsonElement item, string name) => item.GetProperty(name).GetString()!;
}
