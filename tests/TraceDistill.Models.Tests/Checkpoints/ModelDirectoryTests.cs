using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Models.Tests.Checkpoints;

public sealed class ModelDirectoryTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();
    readonly ModelParameters _parameters = SampleSequences.Parameters();

    string Weights => _directory.File("model.safetensors");

    [Fact]
    public void Load_WhatSaveWrote_GivesTheSameBitsAndShape()
    {
        ModelDirectory.Save(_directory.Path, _parameters);

        using var loaded = ModelDirectory.Load(_directory.Path);

        Assert.Equal(_parameters.Flat.Span.ToArray(), loaded.Flat.Span.ToArray());
        Assert.Equal(
            _parameters.Configuration with
            {
                EosTokenIds = [],
            },
            loaded.Configuration with
            {
                EosTokenIds = _parameters.Configuration.EosTokenIds,
            }
        );
    }

    [Theory]
    [InlineData(TensorDtype.BFloat16, 1.0 / 256)]
    [InlineData(TensorDtype.Float16, 1.0 / 2048)]
    public void Load_HalfPrecision_IsOffByAtMostARounding(TensorDtype dtype, double relative)
    {
        ModelDirectory.Save(_directory.Path, _parameters, dtype);

        using var loaded = ModelDirectory.Load(_directory.Path);

        Assert.All(_parameters.Flat.Span.ToArray().Zip(loaded.Flat.Span.ToArray()), pair =>
            Assert.Equal(pair.First, pair.Second, relative * Math.Abs(pair.First) + 1e-7)
        );
    }

    [Fact]
    public void Read_FileCutShortAfterItWasOpened_IsRefusedByName()
    {
        ModelDirectory.Save(_directory.Path, _parameters);
        using var file = SafetensorsFile.Open(Weights);
        var last = file.Entries.Values.MaxBy(entry => entry.End)!;
        using (var stream = new FileStream(Weights, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.SetLength(last.End - 1);
        }

        var values = new float[(last.End - last.Start) / last.Dtype.Size()];
        var error = Assert.Throws<InvalidInputException>(() => file.Read(last, values));

        Assert.StartsWith($"{Weights}: ends within tensor {last.Name}", error.Message);
    }

    /// <summary>The format by its specification: header length, JSON header, bytes at the offsets it names.</summary>
    [Fact]
    public void Save_Float32_WritesTheValuesWhereTheHeaderSaysTheyAre()
    {
        ModelDirectory.Save(_directory.Path, _parameters);

        var bytes = File.ReadAllBytes(Weights);
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        using var header = System.Text.Json.JsonDocument.Parse(bytes.AsMemory(8, length));
        var entry = header.RootElement.GetProperty("model.layers.1.self_attn.k_proj.weight");
        var start = 8 + length + entry.GetProperty("data_offsets")[0].GetInt32();

        Assert.Equal(0, (8 + length) % 8);
        Assert.Equal("F32", entry.GetProperty("dtype").GetString());
        Assert.Equal([16, 32], entry.GetProperty("shape").EnumerateArray().Select(size => size.GetInt32()));
        Assert.Equal(
            _parameters.Values("model.layers.1.self_attn.k_proj.weight")[5],
            BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(start + 20))
        );
    }

    [Fact]
    public void Load_MissingForeignAndMisshapenTensors_NamesThemAll()
    {
        _parameters.Configuration.Save(_directory.Path);
        SafetensorsWriter.Write(
            Weights,
            _ => TensorDtype.Float32,
            [
                .. _parameters
                    .Names.Where(name => name != "model.norm.weight")
                    .Select(name => (name, name == "lm_head.weight" ? [32, 40] : _parameters.ShapeOf(name))),
                ("surplus", [1L]),
            ],
            name => name == "surplus" ? new float[1] : _parameters.Values(name)
        );

        var error = Assert.Throws<InvalidInputException>(() => ModelDirectory.Load(_directory.Path));

        Assert.Equal(
            $"{Weights}: model.norm.weight is missing; lm_head.weight has shape [32, "
                + "40], config.json wants [40, 32]; surplus is not part of the model",
            error.Message
        );
    }

    [Fact]
    public void Load_SeveralFilesAndTheirIndex_GivesTheSameBits()
    {
        ModelDirectory.Save(_directory.Path, _parameters);
        ModelDirectory.Save(_directory.Path, _parameters, shardBytes: 6_000);

        var files = Directory.GetFiles(_directory.Path, "*.safetensors").Select(Path.GetFileName).Order().ToList();
        using var loaded = ModelDirectory.Load(_directory.Path);

        Assert.InRange(files.Count, 3, 99);
        Assert.Equal(Enumerable.Range(1, files.Count).Select(number => $"model-{number:00000}-of-{files.Count:00000}.safetensors"), files);
        Assert.Equal(_parameters.Flat.Span.ToArray(), loaded.Flat.Span.ToArray());
        using var index = System.Text.Json.JsonDocument.Parse(File.ReadAllBytes(_directory.File("model.safetensors.index.json")));
        Assert.Equal(4 * _parameters.Count, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        Assert.Equal(_parameters.Names, index.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Name));
    }

    [Fact]
    public void Load_SnapshotOfHuggingFacesCache_FollowsItsLinks()
    {
        var blobs = _directory.File("blobs");
        ModelDirectory.Save(blobs, _parameters, shardBytes: 6_000);
        var snapshot = Directory.CreateDirectory(_directory.File("snapshot")).FullName;
        foreach (var file in Directory.GetFiles(blobs))
        {
            File.CreateSymbolicLink(Path.Combine(snapshot, Path.GetFileName(file)), Path.Combine("..", "blobs", Path.GetFileName(file)));
        }

        using var loaded = ModelDirectory.Load(snapshot);

        Assert.Equal(_parameters.Flat.Span.ToArray(), loaded.Flat.Span.ToArray());
    }

    [Theory]
    [InlineData(
        "model-00002-of",
        "model-00001-of",
        "model-00001-of-00014.safetensors: has no tensor",
        "which model.safetensors.index.json puts there"
    )]
    [InlineData("model-00002-of", "model-00099-of", "model-00099-of-00014.safetensors: no such file", "")]
    [InlineData("model-00002-of", "../model-00002-of", "\"../model-00002-of-00014.safetensors\" is not the name of a file beside it", "")]
    [InlineData("weight_map", "weights", "the field weight_map is missing", "")]
    [InlineData("{", "[", "not valid JSON", "")]
    public void Load_IndexThatDoesNotGoWithTheFiles_IsRefusedByName(string part, string replacement, string message, string also)
    {
        ModelDirectory.Save(_directory.Path, _parameters, shardBytes: 6_000);
        var index = _directory.File("model.safetensors.index.json");
        File.WriteAllText(index, File.ReadAllText(index).Replace(part, replacement, StringComparison.Ordinal));

        var error = Assert.Throws<InvalidInputException>(() => ModelDirectory.Load(_directory.Path));

        Assert.Contains(message, error.Message);
        Assert.Contains(also, error.Message);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(100)]
    [InlineData(20_000)]
    public void Load_TruncatedFile_IsRefusedByName(int length)
    {
        ModelDirectory.Save(_directory.Path, _parameters);
        File.WriteAllBytes(Weights, File.ReadAllBytes(Weights)[..length]);

        Assert.StartsWith(Weights, Assert.Throws<InvalidInputException>(() => ModelDirectory.Load(_directory.Path)).Message);
    }

    [Theory]
    [InlineData(
        """{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}""",
        "overlap"
    )]
    [InlineData("""{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}""", "tensor a")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}}""", "tensor a")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [4611686018427387904, 4, 4], "data_offsets": [0, 0]}}""", "tensor a")]
    [InlineData("""{"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}""", "I64")]
    [InlineData("""{"a": {"dtype": "F32", "shape": [2]}}""", "malformed")]
    [InlineData("""{"a": """, "malformed")]
    [InlineData("[]", "malformed")]
    public void Open_HeaderThatDoesNotDescribeTheFile_IsRefused(string header, string message)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + json.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        File.WriteAllBytes(Weights, bytes);

        var error = Assert.Throws<InvalidInputException>(() => SafetensorsFile.Open(Weights));

        Assert.StartsWith(Weights, error.Message);
        Assert.Contains(message, error.Message);
    }

    [Theory]
    [InlineData("\"hidden_size\": 32", "\"hidden_size\": \"wide\"", "hidden_size is \"wide\"")]
    [InlineData("\"hidden_size\": 32,", "", "hidden_size is missing")]
    [InlineData("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "mamba")]
    [InlineData("\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3", "not a multiple")]
    [InlineData("\"head_dim\": 16", "\"head_dim\": 15", "odd")]
    [InlineData("\"mlp_bias\": false", "\"mlp_bias\": true", "mlp_bias is not supported")]
    [InlineData("\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", "hidden_act \"gelu\" is not supported; supported: silu")]
    [InlineData(
        "\"rope_scaling\": null",
        "\"rope_scaling\": {\"type\": \"proportional\"}",
        "rope_scaling of type \"proportional\" is not supported; supported: default, linear, dynamic, llama3, yarn, longrope"
    )]
    [InlineData("\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"longrope\"}", "the field rope_scaling.short_factor is missing")]
    [InlineData("\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"linear\"}", "the field rope_scaling.factor is missing")]
    [InlineData(
        "\"rope_scaling\": null",
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": \"two\"}",
        "rope_scaling.factor is \"two\" but must be a number"
    )]
    [InlineData("\"rope_scaling\": null", "\"rope_scaling\": \"linear\"", "rope_scaling is \"linear\" but must be an object")]
    [InlineData(
        "\"rope_scaling\": null",
        "\"rope_parameters\": {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}",
        "rope_parameters.partial_rotary_factor is not supported; it changes the arithmetic and is 0.5 here"
    )]
    [InlineData(
        "\"rope_scaling\": null",
        "\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}",
        "rope_parameters.full_attention is not supported"
    )]
    [InlineData("\"rope_scaling\": null", "\"layer_types\": [\"full_attention\", \"sliding_attention\"]", "layer_types is not supported")]
    [InlineData("\"rope_scaling\": null", "\"no_rope_layers\": [1, 0]", "no_rope_layers is not supported")]
    [InlineData("\"rope_scaling\": null", "\"quantization_config\": {\"quant_method\": \"gptq\"}", "quantization_config")]
    public void Load_ConfigurationThatCannotBe_IsRefusedByFileAndField(string field, string replacement, string message)
    {
        ModelDirectory.Save(_directory.Path, _parameters);
        var config = _directory.File("config.json");
        var text = File.ReadAllText(config);
        Assert.Contains(field, text);
        File.WriteAllText(config, text.Replace(field, replacement));

        var error = Assert.Throws<InvalidInputException>(() => ModelDirectory.Load(_directory.Path));

        Assert.StartsWith(config, error.Message);
        Assert.Contains(message, error.Message);
    }

    [Theory]
    [InlineData("mlp_bias", "true")]
    [InlineData("partial_rotary_factor", "0.25")]
    [InlineData("pretraining_tp", "2")]
    [InlineData("use_sliding_window", "true")]
    [InlineData("attention_multiplier", "0.0078125")]
    [InlineData("embedding_multiplier", "12.0")]
    [InlineData("residual_multiplier", "0.22")]
    [InlineData("logits_scaling", "8")]
    [InlineData("attn_logit_softcapping", "50.0")]
    [InlineData("final_logit_softcapping", "30.0")]
    [InlineData("clip_qkv", "8.0")]
    [InlineData("qk_layernorm", "true")]
    [InlineData("num_local_experts", "8")]
    [InlineData("rope_interleaved", "true")]
    [InlineData("use_rope", "false")]
    [InlineData("use_mrope", "true")]
    [InlineData("quantization_config", "{\"quant_method\": \"awq\"}")]
    public void Load_FieldThatChangesTheArithmetic_IsRefusedByName(string field, string value)
    {
        ModelDirectory.Save(_directory.Path, _parameters);
        var config = _directory.File("config.json");
        Set(config, field, value);

        var error = Assert.Throws<InvalidInputException>(() => ModelDirectory.Load(_directory.Path));

        Assert.StartsWith($"{config}: {field} is not supported; it changes the arithmetic", error.Message);
    }

    [Theory]
    [InlineData("mlp_bias", "false")]
    [InlineData("partial_rotary_factor", "1.0")]
    [InlineData("pretraining_tp", "1")]
    [InlineData("attn_logit_softcapping", "null")]
    [InlineData("logits_scaling", "1")]
    [InlineData("num_local_experts", "0")]
    [InlineData("layer_types", "[\"full_attention\", \"full_attention\"]")]
    [InlineData("no_rope_layers", "[]")]
    [InlineData("quantization_config", "null")]
    public void Load_FieldAtTheValueThatChangesNothing_IsTaken(string field, string value)
    {
        ModelDirectory.Save(_directory.Path, _parameters);
        Set(_directory.File("config.json"), field, value);

        using var loaded = ModelDirectory.Load(_directory.Path);

        Assert.Equal(_parameters.Flat.Span.ToArray(), loaded.Flat.Span.ToArray());
    }

    /// <summary>Older merges of PEFT left such checkpoints: the projection that was trained counts, not the embedding.</summary>
    [Theory]
    [InlineData(TensorDtype.Float32)]
    [InlineData(TensorDtype.BFloat16)]
    public void Load_TiedConfigurationWithAProjectionOfItsOwn_IsUntiedAndSaysSo(TensorDtype dtype)
    {
        ModelDirectory.Save(_directory.Path, _parameters, dtype);
        Set(_directory.File("config.json"), "tie_word_embeddings", "true");

        using var loaded = ModelDirectory.Load(_directory.Path);
        using var frozen = ModelDirectory.LoadFrozen(_directory.Path);
        var expected = new float[_parameters.Values("lm_head.weight").Length];
        frozen.Read("lm_head.weight", 0, expected);

        Assert.False(loaded.Configuration.TieWordEmbeddings);
        Assert.Equal(expected, loaded.Values("lm_head.weight").ToArray());
        Assert.NotEqual(loaded.Values("model.embed_tokens.weight").ToArray(), loaded.Values("lm_head.weight").ToArray());
        Assert.Equal(
            $"{Weights}: lm_head.weight is not the embedding, though tie_word_embeddings is true; taken as a matrix of its own",
            loaded.Configuration.Remark
        );
    }

    [Fact]
    public void Load_TiedConfigurationWithTheEmbeddingAgain_StaysTied()
    {
        _parameters.Values("model.embed_tokens.weight").CopyTo(_parameters.Values("lm_head.weight"));
        ModelDirectory.Save(_directory.Path, _parameters);
        Set(_directory.File("config.json"), "tie_word_embeddings", "true");

        using var loaded = ModelDirectory.Load(_directory.Path);

        Assert.True(loaded.Configuration.TieWordEmbeddings);
        Assert.Null(loaded.Configuration.Remark);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("config.json")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("generation_config.json")]
    public void Load_GitLfsPointer_IsNamedAsOne(string name)
    {
        ModelDirectory.Save(
            _directory.Path,
            _parameters,
            shardBytes: name.EndsWith("index.json", StringComparison.Ordinal) ? 6_000 : long.MaxValue
        );
        File.WriteAllText(
            _directory.File(name),
            "version https://git-lfs.github.com/spec/v1\noid "
                + "sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nsize 1117320736\n"
        );

        var error = Assert.Throws<InvalidInputException>(() =>
        {
            using var loaded = ModelDirectory.Load(_directory.Path);
            GenerationConfig.AddEnd(_directory.Path, 1, [2]);
        });

        Assert.Equal(
            $"{_directory.File(name)}: a Git LFS pointer in place of the file itself; "
                + "run 'git lfs pull' in its repository, or download the file",
            error.Message
        );
    }

    static void Set(string config, string field, string value)
    {
        var json = JsonNode.Parse(File.ReadAllText(config))!.AsObject();
        json[field] = JsonNode.Parse(value);
        File.WriteAllText(config, json.ToJsonString());
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _directory.Dispose();
    }
}
