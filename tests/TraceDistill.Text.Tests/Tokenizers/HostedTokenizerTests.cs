using System.Text.Json.Nodes;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

/// <summary>Tokenizers of kinds that are not read here. Expected ids are worked out by hand from vocabularies of a few tokens.</summary>
public sealed class HostedTokenizerTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();
    readonly InProcessHost _host = new();

    public void Dispose()
    {
        _host.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public void Unigram_Texts_BecomeTheLikeliestPieces()
    {
        var tokenizer = Load(HostedVocabularies.Unigram());

        // "▁the" (−2) beats "▁" and "the" (−1 − 3); "cats" has no piece of its own.
        Assert.Equal([4, 5, 8], tokenizer.Encode("the cats"));
        Assert.Equal([4, 5, 8, 2], tokenizer.Encode("the cats", addSpecialTokens: true));
        Assert.Equal([4, 1, 4], tokenizer.Encode("the<s>the"));
        Assert.Equal("the cats", tokenizer.Decode([4, 5, 8, 2], skipSpecialTokens: true));
        Assert.Equal("the cats</s>", tokenizer.Decode([4, 5, 8, 2]));
        Assert.Equal([7, 8], tokenizer.EncodeWithin("thes"));
        Assert.Equal(
            [
                [7],
                [4, 5],
            ],
            tokenizer.EncodeWithin(["the", " the cat"])
        );
        Assert.True(tokenizer.Prepends);
        Assert.Equal(10, tokenizer.VocabularySize);
        Assert.Equal((2, "</s>"), (tokenizer.EndOfSequenceId, tokenizer.NameOf(2)));
        Assert.Equal(" the"u8, tokenizer.GetBytes(4));
        Assert.True(tokenizer.HasExactBytes);
        Assert.True(tokenizer.TryGetId("▁cat", out var cat));
        Assert.Equal(5, cat);
    }

    /// <summary>Settings of a batch in the file would cut this to two tokens and fill the other up.</summary>
    [Fact]
    public void Load_TruncationAndPadding_AreNotApplied()
    {
        var json = HostedVocabularies.Unigram();
        json["truncation"] = JsonNode.Parse("""{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0}""");
        json["padding"] = JsonNode.Parse(
            """{"strategy":{"Fixed":9},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"<unk>"}"""
        );

        var tokenizer = Load(json);

        Assert.Equal([4, 5, 4, 5, 2], tokenizer.Encode("the cat the cat", addSpecialTokens: true));
        Assert.Equal([4], tokenizer.Encode("the"));
    }

    [Fact]
    public void WordPiece_Texts_BecomeWordsAndTheirContinuations()
    {
        var tokenizer = Load(HostedVocabularies.WordPiece());

        Assert.Equal([4, 5, 8, 9, 10, 11, 7], tokenizer.Encode("The CAT, unaffable."));
        Assert.Equal([1, 4, 0, 2], tokenizer.Encode("the xyz", addSpecialTokens: true));
        Assert.Equal("the cat, unaffable.", tokenizer.Decode([4, 5, 8, 9, 10, 11, 7]));
        Assert.Equal("the", tokenizer.Decode([1, 4, 2], skipSpecialTokens: true));
        Assert.Equal("aff"u8, tokenizer.GetBytes(10));
        Assert.Equal(" cat"u8, tokenizer.GetBytes(5));
        Assert.False(tokenizer.HasExactBytes);
        Assert.Equal("[SEP]", tokenizer.SpecialTokenIn("a[SEP]b"));
    }

    [Theory]
    [InlineData("the cat", "0-3 3-7")]
    [InlineData("  The  Cat.", "0-5 5-10 10-11")] // white space stands with the word behind it
    [InlineData("the çàt", "0-3 3-9")] // accents are taken off
    [InlineData("the 日 cat", "0-3 3-8 8-11")] // unknown up to where the next word begins
    [InlineData("thE ＣＡＴ", "0-3 3-13", "NFKC")]
    [InlineData("unaffable", "0-2 2-5 5-9")]
    [InlineData("the cat\n", "0-3 3-7")]
    [InlineData("", "")]
    public void EncodeWithSpans_TextThatIsChanged_TellsWhereItsTokensStand(string text, string spans, string? form = null)
    {
        var json = HostedVocabularies.WordPiece();
        if (form is not null)
        {
            json["normalizer"] = JsonNode.Parse($$"""{"type":"Sequence","normalizers":[{"type":"{{form}}"},{"type":"Lowercase"}]}""");
        }

        Assert.Equal(spans, string.Join(' ', Load(json).EncodeWithSpans(text).ByteSpans.Select(span => $"{span.Start}-{span.End}")));
    }

    [Theory]
    [InlineData("cats", "cat", "the cats")]
    [InlineData("the", "cat", "the sat")]
    public void EncodeWithSpans_TextThatBecomesAnother_IsRefusedByName(string from, string to, string text)
    {
        var json = HostedVocabularies.WordPiece();
        json["normalizer"] = JsonNode.Parse($$"""{"type":"Replace","pattern":{"String":"{{from}}"},"content":"{{to}}"}""");
        var tokenizer = Load(json);

        Assert.Equal(2, tokenizer.Encode(text).Length);
        Assert.StartsWith(
            $"{_directory.File("tokenizer.json")}: it changes texts before they are split",
            Assert.Throws<InvalidInputException>(() => tokenizer.EncodeWithSpans(text)).Message
        );
    }

    [Fact]
    public void EncodeWithSpans_SpaceThatIsPutBefore_HasNoBytes()
    {
        var tokenizer = Load(HostedVocabularies.Unigram());

        var encoded = tokenizer.EncodeWithSpans("the cats", addSpecialTokens: true);

        Assert.Equal([new(0, 3), new(3, 7), new(7, 8), new(8, 8)], encoded.ByteSpans);
        Assert.Equal([new(0, 3), new(3, 7), new(7, 8), default], encoded.Offsets);
    }

    [Fact]
    public void Encode_FromManyThreads_GivesEachItsOwn()
    {
        var tokenizer = Load(HostedVocabularies.Unigram());
        string[] texts = [.. Enumerable.Range(0, 400).Select(i => string.Concat(Enumerable.Repeat(i % 2 == 0 ? " the" : " cat", i % 23)))];
        var expected = texts.Select(text => tokenizer.Encode(text)).ToList();
        var results = new int[texts.Length][];

        Parallel.For(0, texts.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => results[i] = tokenizer.Encode(texts[i]));

        Assert.Equal(expected, results);
    }

    /// <summary>A lone surrogate is no text that the library takes.</summary>
    [Fact]
    public void Encode_LoneSurrogate_CountsAsReplacementCharacter()
    {
        var tokenizer = Load(HostedVocabularies.Unigram());

        Assert.Equal(tokenizer.Encode("the\uFFFD"), tokenizer.Encode("the\uD800"));
        Assert.Equal([4, 0], tokenizer.Encode("the\uD800"));
    }

    [Fact]
    public void Hash_OtherScoresOrLayout_TellsTokenizersApart()
    {
        var (one, other, indented) = (HostedVocabularies.Unigram(), HostedVocabularies.Unigram(), HostedVocabularies.Unigram());
        other["model"]!["vocab"]![4]![1] = -2.5;

        var hash = Hash(one);

        Assert.Equal(hash, Hash(indented, isIndented: true));
        Assert.NotEqual(hash, Hash(other));
        Assert.Equal(64, hash.Length);

        string Hash(JsonObject json, bool isIndented = false)
        {
            using var host = new InProcessHost();
            HostedVocabularies.Write(_directory, json, isIndented);
            return Tokenizer.Load(_directory.Path, host.Load).Hash;
        }
    }

    [Fact]
    public void Encode_HostThatEnded_IsToldWithTheFileEachTime()
    {
        var tokenizer = Load(HostedVocabularies.Unigram());
        _host.Dispose();

        var first = Assert.Throws<ExternalFailureException>(() => tokenizer.Encode("the"));
        var second = Assert.Throws<ExternalFailureException>(() => tokenizer.Decode([4]));

        Assert.Equal($"{_directory.File("tokenizer.json")}: the host was ended", first.Message);
        Assert.Equal(first.Message, second.Message);
    }

    [Fact]
    public void Load_AddedTokenWhoseIdIsNotFree_IsRefusedByName()
    {
        var json = HostedVocabularies.Unigram();
        json["added_tokens"]!.AsArray().Add(HostedVocabularies.Added(20, "<late>"));

        var refused = Assert.Throws<InvalidInputException>(() => Load(json));

        Assert.Equal(
            $"{_directory.File("tokenizer.json")}: added_tokens: \"<late>\" has another "
                + "id than 20 in Hugging Face's tokenizers; fetch or export the file again",
            refused.Message
        );
    }

    [Fact]
    public void Load_DropoutInAModelOfOthers_IsRefused()
    {
        var json = HostedVocabularies.WordPiece();
        json["model"] = JsonNode.Parse("""{"type":"BPE","dropout":0.1,"vocab":{"a":0},"merges":[]}""");
        json["added_tokens"] = new JsonArray();

        Assert.Contains("model.dropout: the value 0.1 is not supported", Assert.Throws<InvalidInputException>(() => Load(json)).Message);
    }

    Tokenizer Load(JsonObject json)
    {
        HostedVocabularies.Write(_directory, json);
        return Tokenizer.Load(_directory.Path, _host.Load);
    }
}
