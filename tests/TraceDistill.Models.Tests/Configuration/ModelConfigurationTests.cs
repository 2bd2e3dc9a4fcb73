using System.Text.Json.Nodes;
using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Models.Tests.Configuration;

public sealed class ModelConfigurationTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Load_Llama3AsTransformersWritesIt_HasItsScaling()
    {
        var shape = Load(
            """
            {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
             "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu",
             "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false,
             "model_type": "llama", "num_attention_heads": 32,
             "num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
             "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
              "original_max_position_embeddings": 8192, "rope_type": "llama3"},
             "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256}
            """
        );

        Assert.Equal(
            new RopeScaling
            {
                Type = RopeType.Llama3,
                Factor = 32,
                OriginalMaxPositionEmbeddings = 8192,
                LowFreqFactor = 1,
                HighFreqFactor = 4,
            },
            shape.RopeScaling
        );
        Assert.Equal(
            (ModelFamily.Llama, 64, 131072, 500000.0, true, false),
            (shape.Family, shape.HeadDim, shape.MaxPositionEmbeddings, shape.RopeTheta, shape.TieWordEmbeddings, shape.HasQueryKeyValueBias)
        );
    }

    [Fact]
    public void Load_Qwen2_HasBiasesThoughItsFileDoesNotSaySo()
    {
        var shape = Load(
            """
            {"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
             "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896,
             "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2",
             "num_attention_heads": 14, "num_hidden_layers": 24,
             "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
             "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936}
            """
        );

        Assert.Equal(
            (ModelFamily.Qwen2, 64, true, false, false),
            (shape.Family, shape.HeadDim, shape.HasQueryKeyValueBias, shape.AttentionBias, shape.HasQueryKeyNorm)
        );
        Assert.Equal(RopeScaling.None, shape.RopeScaling);
    }

    [Fact]
    public void Load_Qwen3InTheNewForm_FindsBaseAndScalingInRopeParameters()
    {
        var shape = Load(
            """
            {"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "dtype": "bfloat16", "eos_token_id": 151645,
             "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
             "intermediate_size": 3072, "max_position_embeddings": 40960, "model_type": "qwen3",
             "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
             "rms_norm_eps": 1e-06, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000, "factor": 4.0,
              "original_max_position_embeddings": 32768},
             "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936}
            """
        );

        Assert.Equal(
            (ModelFamily.Qwen3, 128, 2048, true, 1e6),
            (shape.Family, shape.HeadDim, shape.QuerySize, shape.HasQueryKeyNorm, shape.RopeTheta)
        );
        Assert.Equal(
            new RopeScaling
            {
                Type = RopeType.Yarn,
                Factor = 4,
                OriginalMaxPositionEmbeddings = 32768,
            },
            shape.RopeScaling
        );
    }

    [Theory]
    [InlineData(ModelFamily.Llama, true, RopeType.Llama3)]
    [InlineData(ModelFamily.Llama, false, RopeType.Dynamic)]
    [InlineData(ModelFamily.Qwen2, false, RopeType.Yarn)]
    [InlineData(ModelFamily.Qwen3, true, RopeType.Linear)]
    [InlineData(ModelFamily.Qwen3, false, RopeType.Default)]
    public void Load_WhatSaveWrote_IsTheSame(ModelFamily family, bool bias, RopeType rope)
    {
        int[] ends = [7, 9];
        var shape = new ModelConfiguration
        {
            Family = family,
            VocabSize = 50,
            HiddenSize = 48,
            IntermediateSize = 44,
            NumHiddenLayers = 2,
            NumAttentionHeads = 6,
            NumKeyValueHeads = 2,
            HeadDim = 16,
            AttentionBias = bias,
            EosTokenIds = ends,
            RopeScaling =
                rope == RopeType.Default
                    ? RopeScaling.None
                    : new RopeScaling
                    {
                        Type = rope,
                        Factor = 2.5,
                        OriginalMaxPositionEmbeddings = 512,
                    },
        };

        shape.Save(_directory.Path);

        var loaded = ModelConfiguration.Load(_directory.Path);
        Assert.Equal(ends, loaded.EosTokenIds);
        Assert.Equal(shape, loaded with { EosTokenIds = ends });
        Assert.Equal(
            $"{family}ForCausalLM",
            (string?)JsonNode.Parse(File.ReadAllText(_directory.File("config.json")))!["architectures"]![0]
        );
    }

    [Theory]
    [InlineData("num_attention_heads", "65536", "num_attention_heads is 65536 but must be at most 4096")]
    [InlineData("num_attention_heads", "4294967296", "num_attention_heads is 4294967296 but must be a 32-bit integer")]
    [InlineData("head_dim", "65536", "head_dim is 65536 but must be at most 4096")]
    [InlineData("num_hidden_layers", "2000000000", "num_hidden_layers is 2000000000 but must be at most 4096")]
    [InlineData("num_hidden_layers", "0", "num_hidden_layers is 0 but must be positive")]
    [InlineData("num_key_value_heads", "-1", "num_key_value_heads is -1 but must be positive")]
    [InlineData("max_position_embeddings", "2147483647", "max_position_embeddings is 2147483647 but must be at most 134217728")]
    [InlineData("vocab_size", "2147483647", "vocab_size is 2147483647 but must be at most 16777216")]
    [InlineData(
        "vocab_size",
        "16777216",
        "vocab_size 16777216 and hidden_size 896 make a matrix of 15032385536 weights, and at most 2147483647 can be computed with"
    )]
    [InlineData("intermediate_size", "2147483647", "intermediate_size is 2147483647 but must be at most 1048576")]
    [InlineData("rope_theta", "0", "rope_theta is 0 but must be positive and finite")]
    [InlineData("rope_theta", "-10000", "rope_theta is -10000 but must be positive and finite")]
    [InlineData("rope_theta", "1e400", "rope_theta is Infinity but must be positive and finite")]
    [InlineData("rope_theta", "\"NaN\"", "rope_theta is \"NaN\" but must be a number")]
    [InlineData("rms_norm_eps", "0", "rms_norm_eps is 0 but must be positive and finite")]
    [InlineData("rms_norm_eps", "-1e-6", "rms_norm_eps is -1E-06 but must be positive and finite")]
    [InlineData("rms_norm_eps", "1e-60", "rms_norm_eps is 1E-60 but must be positive and finite")]
    [InlineData("rms_norm_eps", "1e60", "rms_norm_eps is 1E+60 but must be positive and finite")]
    [InlineData("rms_norm_eps", "1e400", "rms_norm_eps is Infinity but must be positive and finite")]
    [InlineData("initializer_range", "1e400", "initializer_range is Infinity but must be finite")]
    [InlineData("rope_scaling", """{"type":"linear","factor":1e400}""", "rope_scaling.factor is Infinity but must be positive and finite")]
    [InlineData("rope_scaling", """{"type":"linear","factor":0}""", "rope_scaling.factor is 0 but must be positive and finite")]
    [InlineData(
        "rope_scaling",
        """{"type":"llama3","factor":2,"low_freq_factor":4,"high_freq_factor":4}""",
        "high_freq_factor must be above low_freq_factor"
    )]
    [InlineData("rope_scaling", """{"type":"yarn","factor":2,"beta_fast":-1}""", "rope_scaling.beta_fast is -1")]
    [InlineData(
        "rope_scaling",
        """{"type":"yarn","factor":2,"original_max_position_embeddings":1e400}""",
        "rope_scaling.original_max_position_embeddings"
    )]
    public void Load_FieldThatCannotBeComputedWith_IsNamed(string field, string value, string expected)
    {
        var fields = new Dictionary<string, string>
        {
            ["model_type"] = "\"llama\"",
            ["hidden_size"] = "896",
            ["intermediate_size"] = "4864",
            ["num_attention_heads"] = "14",
            ["num_key_value_heads"] = "2",
            ["num_hidden_layers"] = "24",
            ["vocab_size"] = "151936",
            [field] = value,
        };
        var json = $"{{{string.Join(", ", fields.Select(pair => $"\"{pair.Key}\": {pair.Value}"))}}}";

        var message = Assert.Throws<InvalidInputException>(() => Load(json)).Message;

        Assert.StartsWith(_directory.File("config.json") + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Load_NumberThatJsonDoesNotHave_IsRefusedWithItsPlace() =>
        Assert.Equal(
            $"{_directory.File("config.json")}, line 2, byte 15: not valid JSON; fetch or export the file again",
            Assert.Throws<InvalidInputException>(() => Load("{\n\"rope_theta\": NaN}")).Message
        );

    [Fact]
    public void Load_SeveralFieldsWrong_AreToldTogether()
    {
        var message = Assert
            .Throws<InvalidInputException>(() =>
                Load(
                    """
                    {"model_type": "llama", "hidden_size": 0, "intermediate_size": -4, "num_attention_heads": 1000000,
                     "num_hidden_layers": 99999, "vocab_size": 10, "rms_norm_eps": 0, "rope_theta": 0}
                    """
                )
            )
            .Message;

        Assert.All(["hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "rms_norm_eps", "rope_theta"], name =>
            Assert.Contains($"{name} is ", message, StringComparison.Ordinal)
        );
    }

    [Theory]
    [InlineData(2_000_000_000, 4, "hidden_size")]
    [InlineData(64, 2_000_000_000, "num_hidden_layers")]
    public void Configure_ArchitectureOfARecipe_HasTheSameBounds(int hidden, int layers, string field) =>
        Assert.Contains(
            $"architecture: {field} is 2000000000 but must be at most",
            Assert
                .Throws<InvalidInputException>(() =>
                    new ModelArchitecture
                    {
                        HiddenSize = hidden,
                        NumHiddenLayers = layers,
                        NumAttentionHeads = 4,
                    }.Configure(100, [])
                )
                .Message,
            StringComparison.Ordinal
        );

    ModelConfiguration Load(string json)
    {
        File.WriteAllText(_directory.File("config.json"), json);
        return ModelConfiguration.Load(_directory.Path);
    }
}
