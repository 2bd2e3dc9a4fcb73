using System.Text;
using System.Text.Json.Nodes;
using FsCheck.Xunit;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Text.Tokenizers.Unicode;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

public sealed class TokenSpanTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();
    readonly Tokenizer _byteLevel;
    readonly Tokenizer _composing;
    readonly Tokenizer _fallback;

    public TokenSpanTests()
    {
        _byteLevel = Trained("bytes", "null");
        _composing = Trained("composing", """{"type":"NFC"}""");
        var folder = Directory.CreateDirectory(_directory.File("fallback")).FullName;
        SentencePieceVocabulary.Write(Path.Combine(folder, "tokenizer.json"));
        _fallback = Tokenizer.Load(folder);
    }

    public void Dispose() => _directory.Dispose();

    [Property(MaxTest = 300)]
    public void ByteSpans_OfAByteLevelVocabulary_HoldTheBytesOfTheTokens(int seed, string? random)
    {
        foreach (var text in Texts(seed, random))
        {
            var (tokenized, bytes) = (_byteLevel.EncodeWithSpans(text), Encoding.UTF8.GetBytes(text));
            AssertTiled(tokenized, bytes.Length);
            foreach (var (id, span) in tokenized.Ids.Zip(tokenized.ByteSpans))
            {
                Assert.Equal(_byteLevel.GetBytes(id), bytes.AsSpan(span.Start..span.End));
            }
        }
    }

    [Property(MaxTest = 300)]
    public void ByteSpans_OfNormalisedText_TileTheOriginal(int seed, string? random)
    {
        foreach (var text in Texts(seed, random))
        {
            AssertTiled(_composing.EncodeWithSpans(text), Encoding.UTF8.GetByteCount(text));
            AssertTiled(_fallback.EncodeWithSpans(text, addSpecialTokens: true), Encoding.UTF8.GetByteCount(text));
        }
    }

    /// <summary>Where a token ends, the tokens so far say the text so far: all of it but the beginning of a character.</summary>
    [Property(MaxTest = 100)]
    public void ByteSpans_UpToAnyToken_HoldTheTextThatTheTokensSay(int seed)
    {
        foreach (var text in FuzzedText.Texts(seed, 6))
        {
            var (tokenized, bytes, said) = (_composing.EncodeWithSpans(text), Encoding.UTF8.GetBytes(text), new List<byte>());
            foreach (var (id, span) in tokenized.Ids.Zip(tokenized.ByteSpans))
            {
                said.AddRange(_composing.GetBytes(id));
                var whole = UnicodeNormalization.ToFormC(Encoding.UTF8.GetString(bytes, 0, span.End)).TrimEnd('\uFFFD');
                Assert.StartsWith(whole, Encoding.UTF8.GetString([.. said]), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Spans_OfACharacterInTwoTokens_AreExactInBytesAndWholeInCharacters()
    {
        var tokenized = Trained("single bytes", "null", size: 258).EncodeWithSpans("a\U0001F701");
        Assert.Equal([new(0, 1), new(1, 2), new(2, 3), new(3, 4), new(4, 5)], tokenized.ByteSpans);
        Assert.Equal([new(0, 1), new(1, 2), new(1, 2), new(1, 2), new(1, 2)], tokenized.Offsets);
    }

    [Fact]
    public void Spans_OfACharacterThatWasComposed_BelongToTheTokenThatCompletesIt()
    {
        // U+1E05 stays; a with its two marks, five bytes, becomes U+1EAD, three bytes.
        var tokenized = Trained("single bytes", """{"type":"NFC"}""", size: 258).EncodeWithSpans("\u1E05a\u0302\u0323");
        Assert.Equal([new(0, 1), new(1, 2), new(2, 3), new(3, 3), new(3, 3), new(3, 8)], tokenized.ByteSpans);
    }

    [Fact]
    public void Spans_OfWhatTheTokenizerAdds_AreEmpty()
    {
        var tokenized = _fallback.EncodeWithSpans("\U0001F701", addSpecialTokens: true);
        Assert.Equal(new TextSpan(0, 0), tokenized.ByteSpans[0]);
        Assert.Equal([new(0, 0), new(0, 1), new(1, 2), new(2, 3), new(3, 4)], tokenized.ByteSpans.Skip(1));
    }

    static List<string> Texts(int seed, string? random) => [random ?? "", .. FuzzedText.Texts(seed, 6)];

    static void AssertTiled(TokenizedText tokenized, int length)
    {
        Assert.Equal(tokenized.Ids.Count, tokenized.ByteSpans.Count);
        Assert.Equal(tokenized.Ids.Count, tokenized.Offsets.Count);
        var end = 0;
        foreach (var span in tokenized.ByteSpans)
        {
            Assert.Equal(end, span.Start);
            Assert.True(span.End >= span.Start);
            end = span.End;
        }

        Assert.Equal(length, end);
    }

    Tokenizer Trained(string name, string normalizer, int size = 400)
    {
        var folder = Directory.CreateDirectory(_directory.File(name)).FullName;
        BpeTrainer.Train(FuzzedText.Texts(seed: 2, 300), size, [new("<|end|>"), new("<think>") { Special = false }], folder);
        var file = Path.Combine(folder, "tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        json["normalizer"] = JsonNode.Parse(normalizer);
        File.WriteAllText(file, json.ToJsonString());
        return Tokenizer.Load(folder);
    }
}
