using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class ExportVerbTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new()
    {
        Stages =
        [
            new ProblemsVerb(),
            new PretrainVerb(),
            new GenerateVerb(),
            new TrainVerb(),
            new EvaluateVerb(),
            new ExportVerb(),
            new ReportVerb(),
        ],
        Clock = TimeProvider.System,
    };

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Export_Gguf_WritesOneFileAndSaysHowWeightsAreStored()
    {
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                Teacher,
                "--format",
                "gguf",
                "--quantization",
                "Q4_K_M",
                "--out",
                _cli.File("a.gguf"),
                "--json"
            )
        );

        Assert.Equal(
            ("q4_k_m", new FileInfo(_cli.File("a.gguf")).Length, 24),
            ((string)_cli.Json["quantization"]!, (long)_cli.Json["bytes"]!, (int)_cli.Json["tensors"]!["Q4_K"]!)
        );
        Assert.Contains("a.gguf: Q4_K_M, 2 MB, 4.89 bits a weight (5 tensors Q6_K, 9 tensors F32, 24 tensors Q4_K)", _cli.Error);
        Assert.Equal(0, await _cli.RunAsync("export", "--model", Teacher, "--format", "gguf", "--out", _cli.File("a.gguf")));
        Assert.Equal(0, await _cli.RunAsync("export", "--model", Teacher, "--format", "gguf", "--out", _cli.File("folder")));
        Assert.Equal(File.ReadAllBytes(_cli.File("a.gguf")), File.ReadAllBytes(Path.Combine(_cli.File("folder"), "model-F16.gguf")));
    }

    [Fact]
    public async Task Export_HuggingFace_IsAModelDirectoryWithTheModelsOwnCard()
    {
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                Teacher,
                "--format",
                "huggingface",
                "--out",
                _cli.File("hf"),
                "--name",
                "tiny | teacher"
            )
        );
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                Teacher,
                "--format",
                "huggingface",
                "--dtype",
                "float32",
                "--out",
                _cli.File("hf"),
                "--json"
            )
        );

        Assert.Equal(("float32", 3_279_104), ((string)_cli.Json["dtype"]!, (int)_cli.Json["parameters"]!));
        using var model = ModelDirectory.Load(_cli.File("hf"));
        Assert.Equal(Tokenizer.Load(Teacher).Hash, Tokenizer.Load(_cli.File("hf")).Hash);
        var card = File.ReadAllText(Path.Combine(_cli.File("hf"), "README.md"));
        Assert.StartsWith("---\nlicense: mit\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- tracedistill\n", card);
        Assert.Contains("A Llama decoder of 3,279,104 parameters (4 layers of 256, 8 heads of 32 (4 for keys and values),", card);
        Assert.Contains("Greedy pass@1 on 2,000 held-out problems: **97.2 %**", card);
        Assert.Equal(["hf"], Directory.GetFileSystemEntries(Path.GetDirectoryName(_cli.File("hf"))!).Select(Path.GetFileName));
    }

    /// <summary>What a recurrent model has in place of heads is told, and which programs do not know it.</summary>
    [Fact]
    public async Task Export_RecurrentModel_GoesToHuggingFaceWithANoteAndNotToGguf()
    {
        var folder = _cli.File("model");
        var architecture = new ModelArchitecture
        {
            ModelType = "mingru",
            HiddenSize = 32,
            NumHiddenLayers = 2,
        };
        using (var model = new ModelParameters(architecture.Configure(512, [508])))
        {
            model.Initialize(seed: 1);
            ModelDirectory.Save(folder, model);
            ModelDirectory.CopyTokenizer(Teacher, folder);
        }

        Assert.Equal(2, await _cli.RunAsync("export", "--model", folder, "--format", "gguf", "--out", _cli.File("a.gguf")));
        Assert.Contains("config.json: mingru: llama.cpp has no such architecture; export to huggingface", _cli.Error);
        Assert.False(File.Exists(_cli.File("a.gguf")));
        Assert.Equal(0, await _cli.RunAsync("export", "--model", folder, "--format", "huggingface", "--out", _cli.File("hf")));
        Assert.Contains("note: transformers has no class for a mingru model, nor has vLLM", _cli.Error);
        using (
            ModelParameters before = ModelDirectory.Load(folder),
                after = ModelDirectory.Load(_cli.File("hf"))
        )
        {
            Assert.Equal(before.Names, after.Names);
            Assert.Equal(before.Flat.Span.ToArray(), after.Flat.Span.ToArray());
        }

        var card = File.ReadAllText(Path.Combine(_cli.File("hf"), "README.md"));
        Assert.DoesNotContain("library_name", card);
        Assert.Contains("(2 layers of 32, a recurrent state of 64 behind a convolution of 4 tokens,\nfeed-forward 96,", card);
        Assert.Contains("Transformers has no class for a mingru model", card);
    }

    /// <summary>No other program has the encoder: who exports the model is told.</summary>
    [Fact]
    public async Task Export_ModelThatLooksAtPictures_GoesToHuggingFaceWithANoteAndNotToGguf()
    {
        var folder = _cli.File("model");
        var architecture = new ModelArchitecture
        {
            HiddenSize = 32,
            NumHiddenLayers = 2,
            NumAttentionHeads = 2,
            PictureEncoder = new()
            {
                Height = 8,
                Width = 8,
                PatchHeight = 4,
                PatchWidth = 4,
            },
        };
        using (var model = new ModelParameters(architecture.Configure(512, [508])))
        {
            model.Initialize(seed: 1);
            ModelDirectory.Save(folder, model);
            ModelDirectory.CopyTokenizer(Teacher, folder);
        }

        Assert.Equal(2, await _cli.RunAsync("export", "--model", folder, "--format", "gguf", "--out", _cli.File("a.gguf")));
        Assert.Contains("config.json: picture_encoder: llama.cpp has no such architecture; export to huggingface", _cli.Error);
        Assert.Equal(0, await _cli.RunAsync("export", "--model", folder, "--format", "huggingface", "--out", _cli.File("hf")));
        Assert.Contains("note: transformers has no class for a llama model with a picture_encoder, nor has vLLM", _cli.Error);
        using ModelParameters before = ModelDirectory.Load(folder),
            after = ModelDirectory.Load(_cli.File("hf"));
        Assert.Equal(before.Flat.Span.ToArray(), after.Flat.Span.ToArray());
        var card = File.ReadAllText(Path.Combine(_cli.File("hf"), "README.md"));
        Assert.Contains("positions; looks at pictures of 8 × 8 pixels (gray) as 4 vectors, by 2 layers of 64)", card);
    }

    [Fact]
    public async Task Export_WithAnAdapter_MergesItIntoTheModel()
    {
        using (var model = ModelDirectory.Load(Teacher))
        using (var adapter = new LoraAdapter(model, new LoraSettings(4, 8, 0, ["q_proj"], UseDora: false), seed: 1))
        {
            foreach (var name in adapter.Names)
            {
                adapter.Values(name).Fill(0.05f);
            }

            AdapterFiles.Save(_cli.File("tuned"), adapter, "teacher");
        }

        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                Teacher,
                "--adapter",
                _cli.File("tuned"),
                "--format",
                "huggingface",
                "--dtype",
                "float32",
                "--out",
                _cli.File("hf")
            )
        );
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                _cli.File("hf"),
                "--format",
                "gguf",
                "--quantization",
                "F32",
                "--name",
                "it",
                "--out",
                _cli.File("once.gguf")
            )
        );
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                Teacher,
                "--adapter",
                _cli.File("tuned"),
                "--format",
                "gguf",
                "--quantization",
                "F32",
                "--name",
                "it",
                "--out",
                _cli.File("at-once.gguf")
            )
        );

        Assert.Equal(
            0,
            await _cli.RunAsync(
                "export",
                "--model",
                Teacher,
                "--adapter",
                _cli.File("tuned"),
                "--format",
                "huggingface",
                "--out",
                _cli.File("narrow"),
                "--json"
            )
        );
        Assert.InRange((double)_cli.Json["adapter_rounding"]!, 0.0001, 0.02);
        Assert.Contains("note: rounding to bfloat16 changes the merged weights by ", _cli.Error);

        using ModelParameters before = ModelDirectory.Load(Teacher),
            after = ModelDirectory.Load(_cli.File("hf"));
        const string Query = "model.layers.2.self_attn.q_proj.weight",
            Key = "model.layers.2.self_attn.k_proj.weight";
        Assert.All(before.Values(Query).ToArray().Zip(after.Values(Query).ToArray()), pair =>
            Assert.Equal(pair.First + (2 * 4 * 0.0025), pair.Second, 1e-6)
        );
        Assert.Equal(before.Values(Key).ToArray(), after.Values(Key).ToArray());
        Assert.Equal(File.ReadAllBytes(_cli.File("once.gguf")), File.ReadAllBytes(_cli.File("at-once.gguf")));
        Assert.Contains("stored in float32, with the adapter `tuned` merged in.", File.ReadAllText(_cli.File("hf/README.md")));
        Assert.Equal(
            2,
            await _cli.RunAsync("export", "--model", Teacher, "--adapter", Teacher, "--format", "gguf", "--out", _cli.File("no.gguf"))
        );
        Assert.Contains("holds no adapter: adapter_config.json and adapter_model.safetensors are needed", _cli.Error);
        Assert.False(File.Exists(_cli.File("no.gguf")));
    }

    [Theory]
    [InlineData("hf", "hf holds notes.txt, which no export wrote; name a new folder, or one that an earlier export wrote")]
    [InlineData("hf/notes.txt", "hf/notes.txt is a file; name a folder")]
    public async Task Export_FolderThatIsNotItsOwn_IsLeftAlone(string name, string message)
    {
        Assert.Equal(0, await _cli.RunAsync("export", "--model", Teacher, "--format", "huggingface", "--out", _cli.File("hf")));
        File.WriteAllText(_cli.File("hf/notes.txt"), "mine");

        Assert.Equal(2, await _cli.RunAsync("export", "--model", Teacher, "--format", "huggingface", "--out", _cli.File(name)));

        Assert.Contains($"error: --out: {message}", _cli.Error);
        Assert.Equal("mine", File.ReadAllText(_cli.File("hf/notes.txt")));
    }

    [Fact]
    public async Task Export_OntoTheModelItselfOrAnotherFile_IsRefused()
    {
        Directory.CreateDirectory(_cli.File("model"));
        foreach (var file in Directory.GetFiles(Teacher))
        {
            File.Copy(file, Path.Combine(_cli.File("model"), Path.GetFileName(file)));
        }

        Assert.Equal(
            2,
            await _cli.RunAsync("export", "--model", _cli.File("model"), "--format", "huggingface", "--out", _cli.File("model"))
        );
        Assert.Contains("model is the model itself", _cli.Error);
        Assert.Equal(2, await _cli.RunAsync("export", "--model", Teacher, "--format", "gguf", "--out", _cli.Write("a.txt", "GGU")));
        Assert.Contains("--out: a.txt is there already and no GGUF file; name another", _cli.Error);
    }

    [Theory]
    [InlineData(
        "error: --quantization: expected one of f32, f16, bf16, q8_0, q6_k, q4_k_m, q4_0, found \"Q5_0\"",
        "gguf",
        "--quantization",
        "Q5_0"
    )]
    [InlineData("error: --dtype: belongs to the format huggingface; gguf has quantization", "gguf", "--dtype", "float16")]
    [InlineData(
        "error: --dtype: leave it out with quantization, whose values are written in float32: 16 bits have no room for them",
        "huggingface",
        "--quantization",
        "Q8_0",
        "--dtype",
        "bfloat16"
    )]
    [InlineData("error: --format: expected one of huggingface, gguf, found \"onnx\"", "onnx")]
    public async Task Export_WrongUsage_IsToldInOneLine(string message, string format, params string[] more)
    {
        Assert.Equal(2, await _cli.RunAsync(["export", "--model", Teacher, "--format", format, "--out", _cli.File("a"), .. more]));

        Assert.Equal(message, _cli.Error.TrimEnd());
        Assert.False(Path.Exists(_cli.File("a")));
    }

    [Fact]
    public async Task Run_ExportsOfAModelThatWasTrainedForAType_TellSo()
    {
        var recipe =
            MiniatureRecipe
                .Yaml.Replace("hidden_size: 8,", "hidden_size: 32,")
                .Replace("kd_alpha: { schedule", "quantization_aware: q8_0, kd_alpha: { schedule")
            + """

                  weights:  { do: export, model: student, format: huggingface }
                  fitting:  { do: export, model: student, format: gguf, quantization: Q8_0 }
                  other:    { do: export, model: student, format: gguf, quantization: Q4_0 }
                """;
        Assert.True(await _cli.RunRecipeAsync(recipe) == 0, _cli.Error);

        Assert.Contains("Trained for GGUF's Q8_0: the weights lie on the blocks of that type", _cli.Read("weights/README.md"));
        Assert.Contains("fitting: note: the model was trained for Q8_0: its weights are there as they are", _cli.Error);
        Assert.Contains(
            "other: note: the model was trained for Q8_0, and Q4_0 rounds its weights once more: take quantization Q8_0",
            _cli.Error
        );
    }

    [Fact]
    public async Task Run_StagesThatExport_TellDataRecipeAndMetricsAndAreKept()
    {
        var recipe =
            MiniatureRecipe.Yaml
            + """

                  weights:  { do: export, model: student, format: huggingface }
                  llama:    { do: export, model: student, format: gguf, quantization: Q8_0 }
                """;
        Assert.True(await _cli.RunRecipeAsync(recipe) == 0, _cli.Error);

        var card = _cli.Read("weights/README.md");
        Assert.Contains("- distillation\nmodel-index:\n- name: \"student\"\n", card);
        Assert.Contains("| traces | 6 | ", card);
        Assert.Contains("| **student** (this model) | ", card);
        Assert.Contains("Trained by the stage `student` (train)", card);
        Assert.Contains("~~~~yaml\nname: miniature\n", card);
        Assert.DoesNotContain(_cli.RunDirectory, card);
        using var model = ModelDirectory.Load(Path.Combine(_cli.RunDirectory, "weights"));
        Assert.True(File.Exists(Path.Combine(_cli.RunDirectory, "llama", "model-Q8_0.gguf")));
        Assert.Contains("llama: llama/model-Q8_0.gguf: Q8_0", _cli.Error);

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json"));
        Assert.All(_cli.Json["stages"]!.AsArray(), stage => Assert.Equal("unchanged", (string)stage!["outcome"]!));
        Assert.Equal(
            2,
            await _cli.RunRecipeAsync(
                recipe.Replace(
                    "llama: ",
                    "again: { do: generate, problems: problems/train.jsonl, serve: llama/model-F16.gguf }\n  llama: ",
                    StringComparison.Ordinal
                )
            )
        );
        Assert.Contains("the stage \"llama\" makes no \"model-F16.gguf\"; did you mean \"model-Q8_0.gguf\"?", _cli.Error);
    }
}
