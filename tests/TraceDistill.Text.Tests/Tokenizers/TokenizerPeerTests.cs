using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tests.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

/// <summary>Compares with Hugging Face's own tokenizers, on tokenizers trained here and on published ones.</summary>
public class TokenizerPeerTests
{
    const string Qwen = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    static readonly AddedToken[] Added =
    [
        new("<|endoftext|>"),
        new("<|im_start|>"),
        new("<think>") { Special = false },
        new("</think>") { Special = false, Normalized = true },
    ];

    const string DeepSeek =
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| "
        + @"?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    const string ByteLevel = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}""";

    const string Gpt2ByteLevel = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";

    const string Template = """
        {"type":"Sequence","processors":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,
           "use_regex":true},{"type":"TemplateProcessing",
        "single":[{"SpecialToken":{"id":"<|im_start|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
         {"SpecialToken":{"id":"<|endoftext|>","type_id":0}}],"pair":[],
        "special_tokens":{"<|im_start|>":{"id":"<|im_start|>","ids":[597],"tokens":["<|im_start|>"]},
         "<|endoftext|>":{"id":"<|endoftext|>","ids":[596],"tokens":["<|endoftext|>"]}}}]}
        """;

    const string Roberta =
        """{"type":"RobertaProcessing","sep":["<|endoftext|>",596],"cls":["<|im_start|>",597],"trim_offsets":true,"add_prefix_space":true}""";

    const string Tekken =
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        + @"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        + @"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>As deepseek-llm-7b-base has it: letters by ranges, some of them above U+FFFF.</summary>
    const string DeepSeekLetters =
        "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376"
        + "\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-"
        + "\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A"
        + "\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4"
        + "\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC"
        + "\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F"
        + "\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B"
        + "\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A"
        + "\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
        + "\U000118A0-\U000118DF\U0001E900-\U0001E943]+";

    const string DecodedTokens = """
        [{"id":596,"content":"õ","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":false},
        {"id":597,"content":"÷","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":false},
        {"id":598,"content":"éĠ","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":true},
        {"id":599,"content":"ÀÉ","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":false}]
        """;

    const string StrippingTokens = """
        [{"id":596,"content":"<|endoftext|>","single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":true},
        {"id":597,"content":"42","single_word":true,"lstrip":false,"rstrip":false,"normalized":true,"special":false},
        {"id":598,"content":"世界","single_word":false,"lstrip":false,"rstrip":true,"normalized":true,"special":false},
        {"id":599,"content":"<|end","single_word":false,"lstrip":true,"rstrip":false,"normalized":false,"special":false}]
        """;

    /// <summary>The settings of model families, laid over one trained vocabulary: fields of tokenizer.json and their new values.</summary>
    public static TheoryData<string, string[]> Variants =>
        new()
        {
            { "as trained", [] },
            {
                "GPT-2 with a space in front",
                ["pre_tokenizer", Gpt2ByteLevel.Replace("\"add_prefix_space\":false", "\"add_prefix_space\":true")]
            },
            { "Qwen", ["normalizer", """{"type":"NFC"}""", "pre_tokenizer", Steps(Split(Qwen), ByteLevel)] },
            {
                "DeepSeek",
                [
                    "normalizer",
                    """{"type":"Sequence","normalizers":[]}""",
                    "pre_tokenizer",
                    Steps(Split(@"\p{N}{1,3}"), Split("[一-龥぀-ゟ゠-ヿ]+"), Split(DeepSeek), ByteLevel),
                ]
            },
            { "SmolLM", ["pre_tokenizer", Steps("""{"type":"Digits","individual_digits":true}""", Gpt2ByteLevel)] },
            { "digits together", ["pre_tokenizer", Steps("""{"type":"Digits","individual_digits":false}""", Gpt2ByteLevel)] },
            {
                "matches removed",
                ["pre_tokenizer", Steps("""{"type":"Split","pattern":{"String":"a"},"behavior":"Removed","invert":false}""", ByteLevel)]
            },
            {
                "gaps removed",
                ["pre_tokenizer", Steps("""{"type":"Split","pattern":{"Regex":"\\S+"},"behavior":"Removed","invert":true}""", ByteLevel)]
            },
            { "whole pieces first", ["model.ignore_merges", "true"] },
            { "template", ["post_processor", Template] },
            { "offsets without white space", ["post_processor", Gpt2ByteLevel] },
            {
                "RoBERTa",
                [
                    "pre_tokenizer",
                    Gpt2ByteLevel.Replace("\"add_prefix_space\":false", "\"add_prefix_space\":true"),
                    "post_processor",
                    Roberta,
                ]
            },
            {
                "DeepSeek LLM",
                [
                    "pre_tokenizer",
                    Steps(
                        Split("[\r\n]"),
                        Split(@"\s?\p{L}+"),
                        Split(@"\s?\p{P}+"),
                        Split("[一-龥ࠀ-一가-퟿]+"),
                        """{"type":"Digits","individual_digits":true}""",
                        ByteLevel
                    ),
                ]
            },
            { "Tekken", ["pre_tokenizer", Steps(Split(Tekken), ByteLevel)] },
            {
                "punctuation together, digits by three",
                ["pre_tokenizer", Steps("""{"type":"Punctuation","behavior":"Contiguous"}""", Split("[0-9][0-9][0-9]"), Gpt2ByteLevel)]
            },
            { "punctuation alone", ["pre_tokenizer", Steps("""{"type":"Punctuation"}""", Gpt2ByteLevel)] },
            {
                "Llama 3 as converted from tiktoken",
                [
                    "pre_tokenizer",
                    Steps(
                        Split(Qwen.Replace(@"\p{N}| ", @"\p{N}{1,3}| "))
                            .Replace("\"Isolated\",\"invert\":false", "\"Removed\",\"invert\":true"),
                        ByteLevel
                    ),
                ]
            },
            { "NFD", ["normalizer", """{"type":"NFD"}"""] },
            { "NFKC", ["normalizer", """{"type":"NFKC"}"""] },
            { "NFKD and accents", ["normalizer", """{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"StripAccents"}]}"""] },
            {
                "small letters",
                [
                    "normalizer",
                    """{"type":"Sequence","normalizers":[{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Lowercase"}]}""",
                ]
            },
            { "Nmt", ["normalizer", """{"type":"Nmt"}"""] },
            {
                "BERT",
                [
                    "normalizer",
                    """{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}""",
                    "pre_tokenizer",
                    Steps("""{"type":"BertPreTokenizer"}""", ByteLevel),
                ]
            },
            { "XLM-R", ["normalizer", PrecompiledMapTests.Normalizer] },
            {
                "ByteLevel in the normalizer",
                ["normalizer", """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"ByteLevel"}]}""", "pre_tokenizer", "null"]
            },
            {
                "steps behind the normalizer's ByteLevel",
                [
                    "normalizer",
                    """{"type":"ByteLevel"}""",
                    "pre_tokenizer",
                    Steps("""{"type":"Digits","individual_digits":true}""", Split("[A-Za-z]+|Ã.|Ġ+")),
                ]
            },
            // Hugging Face leaves no special token out of a text whose content the normalizer changes.
            {
                "added tokens in ByteLevel's alphabet",
                [
                    "normalizer",
                    """{"type":"ByteLevel"}""",
                    "pre_tokenizer",
                    "null",
                    "-model.vocab",
                    "õ",
                    "-model.vocab",
                    "÷",
                    "added_tokens",
                    DecodedTokens.Replace("true,\"special\":true", "false,\"special\":true"),
                ]
            },
            {
                "CLIP's words",
                [
                    "normalizer",
                    """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}]}""",
                ]
            },
            {
                "replaces characters above U+FFFF",
                ["normalizer", """{"type":"Replace","pattern":{"Regex":"[😀-😎𠀀]|𝐀"},"content":"é"}"""]
            },
            { "words", ["pre_tokenizer", Steps("""{"type":"Whitespace"}""", ByteLevel)] },
            { "between spaces", ["pre_tokenizer", Steps("""{"type":"WhitespaceSplit"}""", ByteLevel)] },
            { "between letters", ["pre_tokenizer", Steps("""{"type":"CharDelimiterSplit","delimiter":"e"}""", ByteLevel)] },
            {
                "Falcon",
                [
                    "pre_tokenizer",
                    Steps(
                        """{"type":"Punctuation","behavior":"Contiguous"}""",
                        Gpt2ByteLevel,
                        """{"type":"Digits","individual_digits":false}""",
                        Split("[0-9][0-9][0-9]")
                    ),
                ]
            },
            {
                "whole pieces behind ByteLevel",
                ["pre_tokenizer", Steps(Gpt2ByteLevel, """{"type":"Digits","individual_digits":true}"""), "model.ignore_merges", "true"]
            },
            {
                "DeepSeek Coder",
                [
                    "pre_tokenizer",
                    Steps(
                        Split("[\r\n]"),
                        Split(DeepSeekLetters),
                        Split(@"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
                        Split(@"\s+$"),
                        Split("[一-龥ࠀ-一가-퟿]+"),
                        """{"type":"Digits","individual_digits":true}""",
                        ByteLevel
                    ),
                ]
            },
            {
                "classes above U+FFFF",
                [
                    "pre_tokenizer",
                    Steps(Split(@"[^\x{1F000}-\x{1FAFF}a-z]+|[😀-😎]"), Split(@"[\x{10000}-\x{1FFFF}0-9]+"), Split("𝐀"), ByteLevel),
                ]
            },
            { "words of the engine", ["pre_tokenizer", Steps(Split(@"^\w+$|\W\d"), Split(@"[\w']+"), ByteLevel)] },
            { "added tokens that decode", ["-model.vocab", "õ", "-model.vocab", "÷", "added_tokens", DecodedTokens] },
            { "added tokens that strip", ["added_tokens", StrippingTokens, "normalizer", """{"type":"NFC"}"""] },
        };

    /// <summary>
    /// Digests of what Hugging Face's tokenizers 0.23.2 gave for these very texts: offsets, which the package that stands in
    /// for them has not, four digits a text, and the text of ids with added tokens that are looked for in normalised text.
    /// </summary>
    static readonly Lazy<Dictionary<string, (string Offsets, string Decoded)>> Recorded = new(() =>
        File.ReadLines(Path.Combine(TestPaths.RepositoryRoot, "tests/TraceDistill.Text.Tests/Tokenizers/huggingface-recorded.txt"))
            .Select(line => line.Split('\t'))
            .ToDictionary(fields => fields[0], fields => (fields[1], fields[2]))
    );

    [Theory]
    [MemberData(nameof(Variants))]
    public void TrainedTokenizer_FuzzedTexts_GivesWhatHuggingFaceGives(string name, string[] changes)
    {
        using var directory = new TemporaryDirectory();
        BpeTrainer.Train(FuzzedText.Texts(seed: 1, 2000), 600, Added, directory.Path);
        Change(directory.File("tokenizer.json"), changes);
        Compare(directory.Path, FuzzedText.Texts(seed: name.Length, 400), name);
    }

    /// <summary>Settings of Llama 2, Mistral and their kin, laid over one vocabulary with byte fallback.</summary>
    public static TheoryData<string, string[]> FallbackVariants =>
        new()
        {
            { "Llama 2", [] },
            { "Llama 2 without its old mark", ["normalizer", "null", "pre_tokenizer", Metaspace("first", split: false)] },
            { "marks everywhere, cut at each", ["normalizer", "null", "pre_tokenizer", Metaspace("always", split: true)] },
            {
                "no mark in front",
                [
                    "normalizer",
                    """{"type":"Replace","pattern":{"Regex":"[ \\t]"},"content":"▁"}""",
                    "pre_tokenizer",
                    Metaspace("never", split: true),
                ]
            },
            {
                "Gemma",
                [
                    "normalizer",
                    """{"type":"Replace","pattern":{"String":" "},"content":"▁"}""",
                    "pre_tokenizer",
                    """{"type":"Split","pattern":{"String":"▁"},"behavior":"MergedWithPrevious","invert":false}""",
                ]
            },
            {
                "runs together",
                [
                    "normalizer",
                    """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""",
                    "pre_tokenizer",
                    """{"type":"Split","pattern":{"Regex":"[a-z]"},"behavior":"Contiguous","invert":true}""",
                ]
            },
            { "bytes missing", ["model.byte_fallback", "true", "model.fuse_unk", "true", "-model.vocab", "<0xE2>"] },
            { "bytes missing, one unknown each", ["model.fuse_unk", "false", "-model.vocab", "<0xC3>"] },
            {
                "characters that vanish",
                ["model.unk_token", "null", "-model.vocab", "<0xE2>", "-model.vocab", "<0xF0>", "-model.vocab", "<0xC3>"]
            },
            {
                "unknown token that merges",
                ["model.unk_token", "\"e\"", "-model.vocab", "<0xE2>", "-model.vocab", "<0xF0>", "-model.vocab", "<0xC3>"]
            },
            { "mark and letter missing", ["model.merges", "[]", "-model.vocab", "▁", "-model.vocab", "e"] },
            {
                "mark, letter and their bytes missing",
                ["model.merges", "[]", "-model.vocab", "▁", "-model.vocab", "e", "-model.vocab", "<0x65>", "-model.vocab", "<0x96>"]
            },
            {
                "no strip",
                [
                    "decoder",
                    """{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Replace","pattern":{"String":"▁"},"content":" "}]}""",
                ]
            },
            {
                "strips both ends",
                ["decoder", SentencePieceVocabulary.Decoder.Replace("\"start\":1,\"stop\":0", "\"start\":2,\"stop\":1")]
            },
            {
                "Metaspace's own decoder",
                [
                    "decoder",
                    """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""",
                    "normalizer",
                    "null",
                    "pre_tokenizer",
                    Metaspace("first", split: false),
                ]
            },
            {
                "small letters",
                [
                    "normalizer",
                    """{"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"NFKC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""",
                ]
            },
            {
                "whole pieces first",
                ["model.ignore_merges", "true", "normalizer", "null", "pre_tokenizer", Metaspace("always", split: true)]
            },
            { "XLM-R", ["normalizer", PrecompiledMapTests.Normalizer, "pre_tokenizer", Metaspace("always", split: true)] },
        };

    [Theory]
    [MemberData(nameof(FallbackVariants))]
    public void ByteFallback_FuzzedTexts_GivesWhatHuggingFaceGives(string name, string[] changes)
    {
        using var directory = new TemporaryDirectory();
        SentencePieceVocabulary.Write(directory.File("tokenizer.json"));
        Change(directory.File("tokenizer.json"), changes);
        Compare(directory.Path, FuzzedText.Texts(seed: name.Length, 1800), $"byte fallback: {name}");
    }

    static string Metaspace(string scheme, bool split) =>
        $$"""{"type":"Metaspace","replacement":"▁","prepend_scheme":"{{scheme}}","split":{{(split ? "true" : "false")}}}""";

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama-3.2")]
    public void PublishedTokenizer_FuzzedTexts_GivesWhatHuggingFaceGives(string model) =>
        Compare(TestPaths.SharedData($"tokenizers/{model}"), FuzzedText.Texts(seed: 5, 600), model);

    /// <summary>Half a minute each: run with <c>-explicit only</c>.</summary>
    [Theory(Explicit = true)]
    [InlineData("gpt2")]
    [InlineData("llama-3.2")]
    public void PublishedTokenizer_TwentyThousandFuzzedTexts_GivesWhatHuggingFaceGives(string model) =>
        Compare(TestPaths.SharedData($"tokenizers/{model}"), FuzzedText.Texts(seed: 6, 20_000));

    [Fact(Explicit = true)]
    public void ByteFallback_TwentyThousandFuzzedTexts_GivesWhatHuggingFaceGives()
    {
        using var directory = new TemporaryDirectory();
        SentencePieceVocabulary.Write(directory.File("tokenizer.json"));
        Compare(directory.Path, FuzzedText.Texts(seed: 6, 20_000));
    }

    /// <summary>Steps that are not done here are told by name, and done by Hugging Face's tokenizers.</summary>
    public static TheoryData<string, string, string> StepsOfOthers =>
        new()
        {
            { "normalizer", """{"type":"ByteLevel"}""", "a ByteLevel pre-tokenizer here is not supported" },
            {
                "normalizer",
                """{"type":"Sequence","normalizers":[{"type":"ByteLevel"},{"type":"NFC"}]}""",
                "normalizer: a step after ByteLevel is not supported"
            },
            {
                "pre_tokenizer",
                """{"type":"UnicodeScripts"}""",
                "pre_tokenizer.type: a UnicodeScripts pre-tokenizer here is not supported"
            },
            { "pre_tokenizer", Steps(Split("[a&&b]"), ByteLevel), "classes within classes, and their intersections" },
            { "pre_tokenizer", Steps(Split(@"\p{Han}+"), ByteLevel), "pre_tokenizer.pretokenizers[0].pattern: the regular expression" },
            { "pre_tokenizer", Steps(Split("a{,3}"), ByteLevel), "means something else in .NET" },
            {
                "pre_tokenizer",
                Steps("""{"type":"Digits","individual_digits":true}""", Gpt2ByteLevel.Replace("space\":false", "space\":true")),
                "true after another step is not supported"
            },
            { "decoder", """{"type":"WordPiece","prefix":"##","cleanup":true}""", "decoder.type: a WordPiece decoder is not supported" },
            { "decoder", """{"type":"BPEDecoder","suffix":"</w>"}""", "decoder.type: a BPEDecoder decoder is not supported" },
            {
                "decoder",
                """{"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true}""",
                "decoder.type: a CTC decoder is not supported"
            },
            { "decoder", "null", "a tokenizer without a decoder is not supported" },
        };

    [Theory]
    [MemberData(nameof(StepsOfOthers))]
    public void Load_StepThatIsNotDoneHere_IsDoneByHuggingFace(string field, string value, string said)
    {
        using var directory = new TemporaryDirectory();
        using var host = new InProcessHost();
        BpeTrainer.Train(FuzzedText.Texts(seed: 1, 50), 300, Added, directory.Path);
        Change(directory.File("tokenizer.json"), [field, value]);
        using var peer = new HuggingFaceTokenizer(directory.File("tokenizer.json"));

        var tokenizer = Tokenizer.Load(directory.Path, host.Load);

        Assert.Contains(said, host.Unsupported!.Message);
        var texts = FuzzedText.Texts(seed: 7, 100);
        Assert.Equal(texts.Select(peer.Encode), texts.Select(text => tokenizer.Encode(text)));
        Assert.Equal(texts.Select(peer.EncodeWithSpecialTokens), texts.Select(text => tokenizer.Encode(text, addSpecialTokens: true)));
        var lists = texts.Select(peer.Encode).ToList();
        Assert.Equal(lists.Select(peer.Decode), lists.Select(ids => tokenizer.Decode(ids)));
        Assert.Equal(lists.Select(peer.DecodeWithoutSpecialTokens), lists.Select(ids => tokenizer.Decode(ids, skipSpecialTokens: true)));
    }

    /// <summary>What neither does is told with the field.</summary>
    [Theory]
    [InlineData(
        "normalizer",
        """{"type":"Precompiled","precompiled_charsmap":"AAAA"}""",
        "normalizer.precompiled_charsmap is \"AAAA\" but must be a character map"
    )]
    [InlineData("normalizer", """{"type":"Odd"}""", "normalizer.type: a Odd normalizer is not supported")]
    [InlineData(
        "pre_tokenizer",
        """{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false}""",
        "pre_tokenizer.pattern: the regular expression"
    )]
    [InlineData("post_processor", """{"type":"Odd"}""", "post_processor.type: a Odd post-processor is not supported")]
    public void Load_StepThatNobodyKnows_IsRefusedByName(string field, string value, string said)
    {
        using var directory = new TemporaryDirectory();
        using var host = new InProcessHost();
        BpeTrainer.Train(FuzzedText.Texts(seed: 1, 50), 300, [], directory.Path);
        Change(directory.File("tokenizer.json"), [field, value]);

        var refused = Assert.Throws<InvalidInputException>(() => Tokenizer.Load(directory.Path, host.Load));

        Assert.StartsWith(directory.File("tokenizer.json"), refused.Message);
        Assert.Contains(said, refused.Message);
        Assert.Equal(host.Unsupported is not null, refused.Message.Contains("Hugging Face's tokenizers do not load it"));
    }

    static string Steps(params string[] steps) => $$"""{"type":"Sequence","pretokenizers":[{{string.Join(',', steps)}}]}""";

    static string Split(string pattern) =>
        """{"type":"Split","pattern":{"Regex":PATTERN},"behavior":"Isolated","invert":false}""".Replace(
            "PATTERN",
            JsonSerializer.Serialize(pattern)
        );

    static void Change(string file, string[] changes)
    {
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        foreach (var change in changes.Chunk(2))
        {
            var path = change[0].TrimStart('-').Split('.');
            if (change[0][0] == '-')
            {
                var vocabulary = json[path[0]]![path[1]]!.AsObject();
                vocabulary[$"no {change[1]}"] = vocabulary[change[1]]!.DeepClone();
                vocabulary.Remove(change[1]);
                continue;
            }

            (path.Length == 1 ? json : json[path[0]]!)[path[^1]] = JsonNode.Parse(change[1]);
        }

        File.WriteAllText(file, json.ToJsonString());
    }

    /// <param name="directory">A model directory.</param>
    /// <param name="texts">To be encoded, and decoded again.</param>
    /// <param name="recorded">Under which the offsets of these texts are recorded; null where they are not.</param>
    static void Compare(string directory, List<string> texts, string? recorded = null)
    {
        var tokenizer = Tokenizer.Load(directory);
        using var peer = new HuggingFaceTokenizer(Path.Combine(directory, "tokenizer.json"));
        var random = new Random(11);
        var (encodings, specials) = (
            texts.ConvertAll(text => tokenizer.EncodeWithSpans(text)),
            texts.ConvertAll(text => tokenizer.EncodeWithSpans(text, addSpecialTokens: true))
        );
        for (var i = 0; i < texts.Count; i++)
        {
            var (encoding, expected) = (encodings[i], peer.Encode(texts[i]));
            Assert.True(
                expected.SequenceEqual(encoding.Ids),
                $"{JsonSerializer.Serialize(texts[i])}: {JsonSerializer.Serialize(expected)} "
                    + $"against {JsonSerializer.Serialize(encoding.Ids)}"
            );
            Assert.Equal(encoding.Ids, tokenizer.Encode(texts[i]));
            Assert.Equal(peer.EncodeWithSpecialTokens(texts[i]), specials[i].Ids);
        }

        if (recorded is not null)
        {
            var digests = Recorded.Value[recorded].Offsets;
            for (var i = 0; i < texts.Count; i++)
            {
                var (ours, special) = (encodings[i].Offsets, specials[i].Offsets);
                Assert.True(
                    digests[(4 * i)..((4 * i) + 4)] == Digest([Text(ours), Text(special)], 2),
                    $"{JsonSerializer.Serialize(texts[i])}: other offsets than {JsonSerializer.Serialize(ours)}"
                );
            }
        }

        // Hugging Face's Strip decoder stops the program where there is nothing left but what it strips.
        List<int[]> lists =
        [
            .. encodings
                .Where((encoding, index) => encoding.Ids.Count > 3 && !string.IsNullOrWhiteSpace(texts[index]))
                .Select(encoding => encoding.Ids.ToArray()),
            .. Enumerable
                .Range(0, 300)
                .Select(_ => Enumerable.Range(0, random.Next(1, 9)).Select(_ => random.Next(tokenizer.VocabularySize)).ToArray()),
        ];
        var normalized = NormalizedTokens(Path.Combine(directory, "tokenizer.json"));
        var withNormalized = lists.Where(ids => ids.Any(normalized.Contains)).ToList();
        foreach (var ids in lists.Except(withNormalized))
        {
            Assert.Equal(peer.Decode(ids), tokenizer.Decode(ids));
            Assert.Equal(peer.DecodeWithoutSpecialTokens(ids), tokenizer.Decode(ids, skipSpecialTokens: true));
        }

        // Older versions than the recorded one decode added tokens that are looked for in normalised text as they are written in the file.
        if (recorded is not null)
        {
            Assert.Equal(
                Recorded.Value[recorded].Decoded,
                Digest(
                    [
                        .. withNormalized.Select(ids => tokenizer.Decode(ids)),
                        .. withNormalized.Select(ids => tokenizer.Decode(ids, skipSpecialTokens: true)),
                    ],
                    8
                )
            );
        }
    }

    static HashSet<int> NormalizedTokens(string file) =>
        [
            .. JsonNode.Parse(File.ReadAllText(file))!["added_tokens"]!
                .AsArray()
                .Where(token => (bool?)token!["normalized"] == true)
                .Select(token => (int)token!["id"]!),
        ];

    static string Text(IEnumerable<TextSpan> spans) => string.Join(' ', spans.Select(span => $"{span.Start}-{span.End}"));

    /// <summary>The first bytes of SHA-256 over texts, in hexadecimal digits.</summary>
    static string Digest(IEnumerable<string> texts, int bytes) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('|', texts)))[..bytes]);
}
