using System.Text.Json.Nodes;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>Texts in ids, by Hugging Face's rules and, exported, by llama.cpp's.</summary>
public sealed class GgufVocabularyTests : IDisposable
{
    const string Gpt2 = """{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}""";
    const string Pieces = """
        {"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}NUMBERS| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
        {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}
        """;

    static readonly string Qwen2 = Pieces.Replace("NUMBERS", "", StringComparison.Ordinal);
    static readonly string Llama3 = Pieces.Replace("NUMBERS", "{1,3}", StringComparison.Ordinal);

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_WaysOfCuttingText_AreLlamaCpps()
    {
        (string Name, Action<JsonNode> Edit)[] cases =
        [
            ("gpt-2", tokenizer => tokenizer["pre_tokenizer"] = JsonNode.Parse(Gpt2)),
            ("qwen2", tokenizer => tokenizer["pre_tokenizer"] = JsonNode.Parse(Qwen2)),
            ("llama-bpe", tokenizer => (tokenizer["pre_tokenizer"], tokenizer["model"]!["ignore_merges"]) = (JsonNode.Parse(Llama3), true)),
            ("smaug-bpe", tokenizer => tokenizer["pre_tokenizer"] = JsonNode.Parse(Llama3)),
            ("marks always", tokenizer => MakeSentencePiece(tokenizer, prepends: true)),
            ("marks never", tokenizer => MakeSentencePiece(tokenizer, prepends: false)),
        ];
        foreach (var (name, edit) in cases)
        {
            SampleModel.Write(_folder.File(name), SampleModel.Shape with { VocabSize = 640 });
            SampleModel.Edit(_folder.File(name), edit);
            Export(_folder.File(name), name + ".gguf");
        }

        var answers = LlamaCpp.Ask(
            cases.Select(test => new LlamaCppRequest { File = _folder.File(test.Name + ".gguf"), Texts = SampleModel.Texts })
        );

        foreach (var (test, answer) in cases.Zip(answers))
        {
            var tokenizer = Tokenizer.Load(_folder.File(test.Name));
            foreach (var (text, ids) in SampleModel.Texts.Zip(answer.Ids))
            {
                Assert.True(
                    tokenizer.Encode(text).SequenceEqual(ids),
                    $"{test.Name}, \"{text}\": {string.Join(' ', tokenizer.Encode(text))} is {string.Join(' ', ids)} in llama.cpp"
                );
            }
        }
    }

    [Theory]
    [InlineData(
        """{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":false},{"type":"ByteLevel","add_prefix_space":false}]}"""
    )]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":true}""")]
    public void Run_CuttingThatLlamaCppDoesNotKnow_IsRefused(string preTokenizer)
    {
        SampleModel.Write(_folder.Path, SampleModel.Shape);
        SampleModel.Edit(_folder.Path, tokenizer => tokenizer["pre_tokenizer"] = JsonNode.Parse(preTokenizer));

        var refused = Assert.Throws<InvalidInputException>(() => Export(_folder.Path, "model.gguf"));

        Assert.Equal(
            $"{_folder.File("tokenizer.json")}: pre_tokenizer: llama.cpp has no name for this way of cutting text, "
                + "so GGUF cannot hold it; known are those of GPT-2, SmolLM, Llama 3 and Qwen 2. Export to huggingface",
            refused.Message
        );
        Assert.False(File.Exists(_folder.File("model.gguf")));
    }

    [Fact]
    public void Run_NormalizerOfQwen_IsNotedAndOthersAreRefused()
    {
        SampleModel.Write(_folder.Path, SampleModel.Shape);
        SampleModel.Edit(_folder.Path, tokenizer => tokenizer["normalizer"] = JsonNode.Parse("""{"type":"NFC"}"""));
        Assert.Equal(["llama.cpp does not normalise text to NFC: give it text that is"], Export(_folder.Path, "model.gguf").Differences);

        SampleModel.Edit(_folder.Path, tokenizer => tokenizer["normalizer"] = JsonNode.Parse("""{"type":"Prepend","prepend":"x"}"""));
        Assert.Contains(
            "llama.cpp has no Prepend for byte-level vocabularies",
            Assert.Throws<InvalidInputException>(() => Export(_folder.Path, "model.gguf")).Message
        );
    }

    [Fact]
    public void Run_RulesThatLlamaCppHasNot_AreNoted()
    {
        SampleModel.Write(_folder.Path, SampleModel.Shape with { VocabSize = 640 });
        File.Delete(_folder.File("generation_config.json"));
        File.Delete(_folder.File("tokenizer_config.json"));
        SampleModel.Edit(_folder.Path, tokenizer =>
        {
            MakeSentencePiece(tokenizer, prepends: true);
            tokenizer["model"]!["merges"]!.AsArray().RemoveAt(0);
            tokenizer["added_tokens"]![0]!["lstrip"] = true;
        });

        Assert.Equal(
            [
                "llama.cpp finds <|system|> in any text: single_word, lstrip and rstrip are not known to it",
                "the model names no token that ends a text, and llama.cpp then "
                    + "takes one of its own choice: set eos_token in tokenizer_config.json",
                "llama.cpp merges any two tokens that make a third, of which 1 pairs are not among the merges",
            ],
            Export(_folder.Path, "model.gguf").Differences
        );
    }

    /// <summary>A model that names no end has none to put after a text, nor has its tokenizer.</summary>
    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, false, false)]
    [InlineData(true, true, true)]
    public void Run_EndOfSequence_IsAddedWhereTheTokenizerAddsTheModels(bool isNamed, bool isAdded, bool expected)
    {
        SampleModel.Write(_folder.Path, SampleModel.Shape);
        if (!isNamed)
        {
            File.Delete(_folder.File("generation_config.json"));
            File.Delete(_folder.File("tokenizer_config.json"));
        }

        if (isAdded)
        {
            var end = Tokenizer.Load(_folder.Path).EndOfSequenceIds.First();
            SampleModel.Edit(_folder.Path, tokenizer =>
            {
                var token = $"{tokenizer["added_tokens"]!.AsArray().Single(added => (int)added!["id"]! == end)!["content"]}";
                tokenizer["post_processor"] = JsonNode.Parse(
                    $$$$"""
                    {"type":"TemplateProcessing","pair":[],
                    "single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"{{{{token}}}}","type_id":0}}],
                    "special_tokens":{"{{{{token}}}}":{"id":"{{{{token}}}}","ids":[{{{{end}}}}],"tokens":["{{{{token}}}}"]}}}
                    """
                );
            });
        }

        Export(_folder.Path, "model.gguf");

        Assert.Equal(expected, GgufHeader.Flag(_folder.File("model.gguf"), "tokenizer.ggml.add_eos_token"));
    }

    /// <summary>What Mistral's newer files say: a mark at the start alone, and only where there is none.</summary>
    [Fact]
    public void Run_MarksAtTheStartAlone_AreNotedWhereLlamaCppPutsMore()
    {
        SampleModel.Write(_folder.Path, SampleModel.Shape with { VocabSize = 640 });
        SampleModel.Edit(_folder.Path, tokenizer =>
        {
            MakeSentencePiece(tokenizer, prepends: false);
            tokenizer["normalizer"] = null;
            tokenizer["pre_tokenizer"] = JsonNode.Parse(
                """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}"""
            );
        });

        var differences = Export(_folder.Path, "model.gguf").Differences;

        Assert.Equal(
            [
                "llama.cpp puts a space before text after a special token too, not only at the start",
                "llama.cpp puts a space before text that begins with one too",
            ],
            differences
        );
        string[] texts = ["the cat", " the cat"];
        var ids = LlamaCpp.Ask(new LlamaCppRequest { File = _folder.File("model.gguf"), Texts = texts }).Single().Ids;
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal(tokenizer.Encode("the cat"), ids[0]);
        Assert.Equal(tokenizer.Encode("  the cat"), ids[1]);
        Assert.NotEqual(tokenizer.Encode(" the cat"), ids[1]);
    }

    public static TheoryData<string, string> Networks =>
        new()
        {
            {
                "yarn",
                "config.json: rope_scaling: llama.cpp has YaRN with beta_fast 32, "
                    + "beta_slow 1 and truncate true alone here; export to huggingface"
            },
            {
                "llama3",
                "config.json: rope_scaling of type llama3 in a qwen2 model: llama.cpp has it for llama alone; export to huggingface"
            },
            {
                "biases",
                "config.json: attention_bias in a qwen3 model: llama.cpp has no bias of the output projection there; export to huggingface"
            },
            {
                "untied",
                "config.json: tie_word_embeddings is false in a gemma2 model: "
                    + "llama.cpp has the embedding as its output; export to huggingface"
            },
            {
                "layers",
                "config.json: layer_types: llama.cpp has full_attention in the last of every 2 layers of gemma2; export to huggingface"
            },
            { "local", "config.json: rope_local_base_freq 500: llama.cpp has 10000 alone; export to huggingface" },
            {
                "norope",
                "config.json: no_rope_layers: llama.cpp rotates in all but the last of every 4 layers of smollm3; export to huggingface"
            },
            {
                "wide",
                "config.json: 4 heads of head_dim 24 and hidden_size 64: "
                    + "llama.cpp's olmo2 has heads as wide as the model; export to huggingface"
            },
            {
                "dense",
                "config.json: decoder_sparse_step or mlp_only_layers: "
                    + "llama.cpp's qwen3_moe has experts in every layer; export to huggingface"
            },
            {
                "sums",
                "config.json: norm_topk_prob is false: in llama.cpp's qwen3_moe "
                    + "the weights of the chosen experts sum to 1; export to huggingface"
            },
            { "recurrent", "config.json: mingru: llama.cpp has no such architecture; export to huggingface" },
            {
                "small",
                "tokenizer.json: has 320 tokens, and config.json a vocab_size of 300: "
                    + "they are not of one model; take both from the same checkpoint"
            },
        };

    [Theory]
    [MemberData(nameof(Networks))]
    public void Run_NetworkThatLlamaCppDoesNotKnow_IsRefusedInOneLine(string network, string message)
    {
        var yarn = new RopeScaling { Type = RopeType.Yarn, Factor = 4 };
        var gemma = SampleModel.Shape with
        {
            Family = ModelFamily.Gemma2,
            TieWordEmbeddings = true,
            QueryPreAttnScalar = 16,
            AttentionSoftCap = 50,
            LogitSoftCap = 30,
        };
        var moe = SampleModel.Shape with
        {
            Family = ModelFamily.Qwen3Moe,
            Experts = new()
            {
                NumExperts = 4,
                NumExpertsPerToken = 2,
                IntermediateSize = 32,
                NormalizesTopK = true,
            },
        };
        SampleModel.Write(
            _folder.Path,
            network switch
            {
                "yarn" => SampleModel.Shape with { RopeScaling = yarn with { BetaFast = 16 } },
                "llama3" => SampleModel.Shape with { Family = ModelFamily.Qwen2, RopeScaling = yarn with { Type = RopeType.Llama3 } },
                "untied" => gemma with { TieWordEmbeddings = false },
                "layers" => gemma with { SlidingWindow = 8 },
                "local" => SampleModel.Shape with { Family = ModelFamily.Gemma3, SlidingWindow = 8, LocalRopeTheta = 500 },
                "norope" => SampleModel.Shape with { Family = ModelFamily.SmolLM3, NumHiddenLayers = 4 },
                "wide" => SampleModel.Shape with { Family = ModelFamily.Olmo2, HeadDim = 24 },
                "dense" => moe with { Experts = moe.Experts! with { SparseStep = 2 } },
                "sums" => moe with { Experts = moe.Experts! with { NormalizesTopK = false } },
                "recurrent" => SampleModel.Shape with
                {
                    Family = ModelFamily.MinGru,
                    Recurrence = new() { StateSize = 40, ConvKernel = 4 },
                },
                "biases" => SampleModel.Shape with { Family = ModelFamily.Qwen3, AttentionBias = true },
                _ => SampleModel.Shape with { VocabSize = 300 },
            }
        );

        Assert.Equal(_folder.File(message), Assert.Throws<InvalidInputException>(() => Export(_folder.Path, "model.gguf")).Message);
    }

    [Theory]
    [InlineData(float.NaN, GgufQuantization.F32, "holds a value that is not a finite number; the training that made it diverged")]
    [InlineData(1e6f, GgufQuantization.F16, "holds 1000000, and F16 ends at 65,504; take bfloat16 or float32")]
    public void Run_WeightThatCannotBeStored_IsToldByTensor(float weight, GgufQuantization quantization, string message)
    {
        using (var parameters = new ModelParameters(SampleModel.Shape))
        {
            SampleModel.Write(_folder.Path, SampleModel.Shape);
            parameters.Values("model.layers.1.mlp.up_proj.weight")[3] = weight;
            ModelDirectory.Save(_folder.Path, parameters);
        }

        Assert.Equal(
            $"{_folder.File("model.safetensors")}: tensor model.layers.1.mlp.up_proj.weight {message}",
            Assert
                .Throws<InvalidInputException>(() =>
                    GgufExport.Run(
                        new ExportSource(_folder.Path),
                        _folder.File("model.gguf"),
                        "sample",
                        quantization,
                        TestContext.Current.CancellationToken
                    )
                )
                .Message
        );
        Assert.Empty(Directory.GetFiles(_folder.Path, "model.gguf*"));
    }

    GgufSummary Export(string folder, string name) =>
        GgufExport.Run(new ExportSource(folder), _folder.File(name), "sample", GgufQuantization.F16, TestContext.Current.CancellationToken);

    /// <summary>
    /// Llama 2's kind: characters, bytes for what has none, and every pair that makes a token among the merges, by the token's rank.
    /// </summary>
    static void MakeSentencePiece(JsonNode tokenizer, bool prepends)
    {
        List<string> tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>")];
        string[] learned = ["▁t", "he", "▁the", "at", "▁c", "▁cat", "er", "▁s", "▁sat", "in", "▁▁", "▁a", "nd", "▁and", "12", "34", "▁12"];
        tokens.AddRange(learned);
        tokens.AddRange(string.Concat(learned).Append('Z').Append('日').Select(character => $"{character}").Distinct());
        var known = tokens.ToHashSet();
        var merges = learned.SelectMany(token =>
            Enumerable
                .Range(1, token.Length - 1)
                .Select(cut => (Left: token[..cut], Right: token[cut..]))
                .Where(pair => known.Contains(pair.Left) && known.Contains(pair.Right))
        );
        var model = tokenizer["model"]!;
        model["vocab"] = new JsonObject(tokens.Index().Select(token => KeyValuePair.Create(token.Item, (JsonNode?)token.Index)));
        model["merges"] = new JsonArray([.. merges.Select(pair => new JsonArray(pair.Left, pair.Right))]);
        (model["byte_fallback"], model["fuse_unk"], model["unk_token"]) = (true, true, "<unk>");
        var id = tokens.Count;
        foreach (var added in tokenizer["added_tokens"]!.AsArray())
        {
            added!["id"] = id++;
        }

        var mark = JsonNode.Parse("""{"type":"Replace","pattern":{"String":" "},"content":"▁"}""");
        var prepend = JsonNode.Parse("""{"type":"Prepend","prepend":"▁"}""");
        tokenizer["normalizer"] = new JsonObject
        {
            ["type"] = "Sequence",
            ["normalizers"] = prepends ? new JsonArray(prepend, mark) : new JsonArray(mark),
        };
        tokenizer["pre_tokenizer"] = null;
        tokenizer["decoder"] = JsonNode.Parse(
            """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]}"""
        );
    }
}
