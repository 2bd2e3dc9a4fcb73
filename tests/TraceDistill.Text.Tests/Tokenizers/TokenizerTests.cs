using System.Text;
using System.Text.Json.Nodes;
using FsCheck.Xunit;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

public sealed class TokenizerTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();
    readonly Tokenizer _tokenizer;

    public TokenizerTests()
    {
        BpeTrainer.Train(FuzzedText.Texts(seed: 2, 300), 400, [new("<|end|>"), new("<think>") { Special = false }], _directory.Path);
        _tokenizer = Tokenizer.Load(_directory.Path);
    }

    public void Dispose() => _directory.Dispose();

    [Property(MaxTest = 300)]
    public bool Decode_OfEncodedText_GivesTheTextBack(string? text)
    {
        // A lone surrogate is no character and comes back as U+FFFD.
        var expected = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text ?? ""));
        return _tokenizer.Decode(_tokenizer.Encode(text ?? "")) == expected;
    }

    [Fact]
    public void Encode_ManyThreads_GivesTheSameIds()
    {
        var texts = FuzzedText.Texts(seed: 9, 400);
        var alone = Tokenizer.Load(_directory.Path);
        var expected = texts.Select(text => alone.Encode(text)).ToList();
        Parallel.For(0, 4, _ =>
        {
            for (var i = 0; i < texts.Count; i++)
            {
                Assert.Equal(expected[i], _tokenizer.Encode(texts[i]));
            }
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Encode_IntoAListThatIsLongEnough_AllocatesNothingPerToken(bool isSentencePiece)
    {
        var tokenizer = isSentencePiece ? SentencePiece() : _tokenizer;
        var text = string.Concat(FuzzedText.Texts(seed: 12, 500)).Replace('<', ' ');
        var ids = new List<int>(2 * text.Length);
        tokenizer.Encode(text, ids);

        // A pattern keeps one matcher, and makes another where a test beside this one is using that: the least of a few counts tells.
        var least = Enumerable.Range(0, 5).Min(_ => Allocated());

        Assert.InRange(least, 0, 1000);
        Assert.True(ids.Count > 5000);

        long Allocated()
        {
            ids.Clear();
            var before = GC.GetAllocatedBytesForCurrentThread();
            tokenizer.Encode(text, ids);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    static Tokenizer SentencePiece()
    {
        using var folder = new TemporaryDirectory();
        SentencePieceVocabulary.Write(folder.File("tokenizer.json"));
        return Tokenizer.Load(folder.Path);
    }

    [Fact]
    public void Encode_LongPieceWithoutASpace_TakesTimeInProportion()
    {
        var text = new string('a', 500_000);
        Assert.Equal(text, _tokenizer.Decode(_tokenizer.Encode(text)));
    }

    [Fact]
    public void GetBytes_OfEveryToken_AreItsTrueBytes()
    {
        Assert.Equal([(byte)' '], _tokenizer.GetBytes(Id("Ġ")).ToArray());
        Assert.Equal("<think>"u8.ToArray(), _tokenizer.GetBytes(Id("<think>")).ToArray());
        Assert.True(_tokenizer.GetBytes(-1).IsEmpty);
        Assert.True(_tokenizer.GetBytes(_tokenizer.VocabularySize).IsEmpty);
        Assert.True(_tokenizer.IsSpecial(Id("<|end|>")));
        Assert.False(_tokenizer.IsSpecial(Id("<think>")));
    }

    [Fact]
    public void Hash_SameTokenizerWrittenDifferently_IsTheSame()
    {
        var json = JsonNode.Parse(File.ReadAllText(_directory.File("tokenizer.json")))!;
        var vocabulary = json["model"]!["vocab"]!
            .AsObject()
            .Reverse()
            .Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)JsonValue.Create(entry.Value!.GetValue<int>())));
        json["model"]!["vocab"] = new JsonObject(vocabulary);
        json["model"]!["merges"] = new JsonArray([
            .. json["model"]!["merges"]!
                .AsArray()
                .Select(merge => new JsonArray([.. merge!.GetValue<string>().Split(' ').Select(part => JsonValue.Create(part))])),
        ]);
        File.WriteAllText(_directory.File("tokenizer.json"), json.ToJsonString());
        var rewritten = Tokenizer.Load(_directory.Path);
        Assert.Equal(_tokenizer.Hash, rewritten.Hash);
    }

    [Fact]
    public void Load_SettingsBesideTheTokenizer_GiveTheRolesOfTokens()
    {
        File.WriteAllText(_directory.File("tokenizer_config.json"), """{"eos_token":"<|end|>","chat_template":"{{ messages }}"}""");
        File.WriteAllText(_directory.File("generation_config.json"), $$"""{"eos_token_id":[7,{{Id("<|end|>")}}]}""");
        var tokenizer = Tokenizer.Load(_directory.Path);
        Assert.Equal([7, Id("<|end|>")], tokenizer.EndOfSequenceIds.Order());
        Assert.Equal(Id("<|end|>"), tokenizer.EndOfSequenceId);
        Assert.Equal("{{ messages }}", tokenizer.ChatTemplateSource);
    }

    [Theory]
    [InlineData("model.type", "\"Unigram\"", "model.type: a Unigram model is not supported")]
    [InlineData("model.type", "\"WordPiece\"", "model.type: a WordPiece model is not supported")]
    [InlineData("model.type", "\"WordLevel\"", "model.type: a WordLevel model is not supported")]
    [InlineData("model.byte_fallback", "true", "model.byte_fallback")]
    [InlineData("model.dropout", "0.1", "model.dropout: the value 0.1 is not supported")]
    [InlineData("model.vocab", "{}", "model.vocab is {} but must be an object with at least one token")]
    [InlineData("model.vocab", "{\"a\":0,\"b\":0}", "model.vocab: \"a\" and \"b\" share the id 0")]
    [InlineData("model.vocab", "{\"a\":-1}", "the id of \"a\" must be a whole number from 0 to 10000000")]
    [InlineData("model.merges", "[\"a\"]", "model.merges[0] is \"a\" but must be two tokens with one space between them")]
    [InlineData("model.merges", "[[\"a\",\"b\",\"c\"]]", "model.merges[0] is [\"a\",\"b\",\"c\"] but must be a pair of tokens")]
    [InlineData(
        "model.merges",
        "[\"a 日\"]",
        "model.merges[0] is \"a 日\" but must be a merge within the vocabulary, which has no token \"日\""
    )]
    [InlineData("normalizer", "{\"type\":\"Precompiled\"}", "the field normalizer.precompiled_charsmap is missing")]
    [InlineData("pre_tokenizer", "{\"type\":\"Metaspace\"}", "pre_tokenizer.type: a Metaspace pre-tokenizer here is not supported")]
    [InlineData(
        "pre_tokenizer",
        "{\"type\":\"Sequence\",\"pretokenizers\":[]}",
        "pre_tokenizer: a pre-tokenizer without ByteLevel is not supported"
    )]
    [InlineData(
        "pre_tokenizer",
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}",
        "pre_tokenizer.pattern: the regular expression"
    )]
    [InlineData("pre_tokenizer", null, "a byte-level vocabulary without a pre_tokenizer is not supported")]
    [InlineData("decoder", "{\"type\":\"WordPiece\"}", "decoder.type: a WordPiece decoder is not supported")]
    [InlineData("post_processor", "{\"type\":\"OddProcessing\"}", "post_processor.type: a OddProcessing post-processor is not supported")]
    [InlineData("added_tokens", "[{\"id\":3,\"content\":\"<x>\"}]", "added_tokens: the id 3 of \"<x>\" contradicts model.vocab")]
    [InlineData("added_tokens", "[{\"content\":\"<x>\"}]", "the field added_tokens[0].id is missing")]
    public void Read_UnsupportedOrMalformedField_NamesFileAndField(string field, string? value, string message)
    {
        var file = _directory.File("tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        var path = field.Split('.');
        (path.Length == 1 ? json : json[path[0]]!)[path[^1]] = value is null ? null : JsonNode.Parse(value);
        File.WriteAllText(file, json.ToJsonString());
        var error = Assert.ThrowsAny<InvalidInputException>(() => TokenizerFile.Read(file));
        Assert.StartsWith(file + ": ", error.Message);
        Assert.Contains(message, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("""{"String":"a"}""")]
    [InlineData("""{"Regex":"a"}""")]
    [InlineData("""{"Regex":""}""")]
    public void Encode_NormalizerThatBlowsTextUp_IsRefusedBeforeItIsMade(string pattern)
    {
        var file = _directory.File("tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        json["normalizer"] = JsonNode.Parse($$"""{"type":"Replace","pattern":{{pattern}},"content":"{{new string('b', 100_000)}}"}""");
        File.WriteAllText(file, json.ToJsonString());
        var tokenizer = Tokenizer.Load(_directory.Path);

        var error = Assert.Throws<InvalidInputException>(() => tokenizer.Encode(new string('a', 10_000)));

        Assert.StartsWith($"{file}: normalizer", error.Message);
        Assert.Contains("characters of 10,000", error.Message);
    }

    [Fact]
    public void Encode_NormalizersThatMultiplyEachOther_AreRefused()
    {
        var file = _directory.File("tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        var step = """{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaa"}""";
        json["normalizer"] = JsonNode.Parse($$"""{"type":"Sequence","normalizers":[{{string.Join(',', Enumerable.Repeat(step, 20))}}]}""");
        File.WriteAllText(file, json.ToJsonString());
        var tokenizer = Tokenizer.Load(_directory.Path);

        Assert.Contains("normalizer", Assert.Throws<InvalidInputException>(() => tokenizer.Encode(new string('a', 1_000))).Message);
    }

    [Theory]
    [InlineData("\\ud800")]
    [InlineData("\xFF")]
    public void Load_TokenThatIsNoUnicodeText_NamesFileAndField(string token)
    {
        var file = _directory.File("tokenizer.json");
        var text = File.ReadAllText(file)
            .Replace("\"content\":\"<think>\"", $"\"content\":\"{token}\"")
            .Replace("\"content\": \"<think>\"", $"\"content\": \"{token}\"");
        File.WriteAllBytes(
            file,
            [.. text.SelectMany(character => character == '\xFF' ? [(byte)0xFF] : Encoding.UTF8.GetBytes([character]))]
        );
        Assert.Contains("tokenizer.json", Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.Path)).Message);
    }

    [Fact]
    public void Load_BytesThatAreNotUtf8_NamesThePlace()
    {
        File.WriteAllBytes(_directory.File("tokenizer.json"), [.. "{\n\"a\": \""u8, 0xC3, 0x28, .. "\"}"u8]);
        Assert.Contains(
            "tokenizer.json:2: byte 8 (0xC3) is not UTF-8",
            Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.Path)).Message
        );
    }

    [Fact]
    public void Load_TruncatedFile_NamesTheLine()
    {
        var file = _directory.File("tokenizer.json");
        File.WriteAllText(file, File.ReadAllText(file)[..500]);
        Assert.Matches(
            @"tokenizer\.json, line \d+, byte \d+: not valid JSON",
            Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.Path)).Message
        );
    }

    [Fact]
    public void Load_DirectoryWithoutTokenizer_SaysWhatIsMissing() =>
        Assert.Contains(
            "tokenizer.json does not exist",
            Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.File("nowhere"))).Message
        );

    [Fact]
    public void Load_UnknownEndToken_NamesTheField()
    {
        File.WriteAllText(_directory.File("tokenizer_config.json"), """{"eos_token":"</s>"}""");
        Assert.Contains(
            "tokenizer_config.json: eos_token \"</s>\" is not a token",
            Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.Path)).Message
        );
    }

    int Id(string token)
    {
        Assert.True(_tokenizer.TryGetId(token, out var id));
        return id;
    }
}
