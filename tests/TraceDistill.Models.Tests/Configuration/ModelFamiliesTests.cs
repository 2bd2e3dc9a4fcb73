using System.Text.Json.Nodes;
using TorchSharp;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Configuration;

public sealed class ModelFamiliesTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>Fields of published configurations, sizes made small; what is not given here is transformers' default.</summary>
    static readonly Dictionary<string, string> Published = new()
    {
        ["mistral v0.1"] =
            """{"model_type": "mistral", "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "max_position_embeddings": 32768, "head_dim": 8}""",
        ["mistral v0.3"] =
            """{"model_type": "mistral", "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "sliding_window": null, "max_position_embeddings": 32768, "head_dim": 8}""",
        ["phi-3-mini-128k"] = """
            {"model_type": "phi3", "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 262144,
             "max_position_embeddings": 131072,
             "original_max_position_embeddings": 4096, "rope_scaling": {"type": "su",
              "short_factor": [1.1, 1.2, 1.3, 1.4], "long_factor": [1.5, 2, 30, 60.5]}}
            """,
        ["phi-4-mini"] = """
            {"model_type": "phi3", "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 262144,
             "max_position_embeddings": 131072, "partial_rotary_factor": 0.75,
             "tie_word_embeddings": true, "original_max_position_embeddings": 4096,
             "rope_scaling": {"type": "longrope", "short_factor": [1, 1.5, 2], "long_factor": [1, 1.5, 40]}}
            """,
        ["phi-4"] =
            """{"model_type": "phi3", "rms_norm_eps": 1e-05, "rope_theta": 250000, "sliding_window": null, "max_position_embeddings": 16384, "partial_rotary_factor": 1.0}""",
        ["gemma-2-2b"] = """
            {"model_type": "gemma2", "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
             "head_dim": 16, "query_pre_attn_scalar": 256,
             "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 4096, "max_position_embeddings": 8192}
            """,
        ["gemma-3-1b"] = """
            {"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh", "head_dim": 16,
             "query_pre_attn_scalar": 256, "attn_logit_softcapping": null,
             "final_logit_softcapping": null, "sliding_window": 512, "sliding_window_pattern": 6, "rope_theta": 1000000,
             "rope_local_base_freq": 10000,
             "rope_scaling": null, "max_position_embeddings": 32768}
            """,
        ["gemma-3 of transformers 5"] = """
            {"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh", "head_dim": 16,
             "query_pre_attn_scalar": 168, "attn_logit_softcapping": null,
             "final_logit_softcapping": null, "sliding_window": 1024, "max_position_embeddings": 131072,
             "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention",
              "sliding_attention", "full_attention", "sliding_attention", "sliding_attention"],
             "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000},
              "sliding_attention": {"rope_type": "default", "rope_theta": 20000}}}
            """,
        ["olmo-2"] =
            """{"model_type": "olmo2", "rms_norm_eps": 1e-06, "rope_theta": 500000, "max_position_embeddings": 4096, "tie_word_embeddings": false}""",
        ["smollm3"] = """
            {"model_type": "smollm3", "rms_norm_eps": 1e-06, "rope_theta": 5000000.0, "max_position_embeddings": 65536,
             "no_rope_layer_interval": 4,
             "no_rope_layers": [1, 1, 1, 0, 1, 1, 1, 0], "use_sliding_window": false, "sliding_window": null, "mlp_bias": false,
             "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention", "full_attention",
              "full_attention", "full_attention", "full_attention"]}
            """,
        ["smollm3 silent"] = """{"model_type": "smollm3", "rms_norm_eps": 1e-06}""",
        ["qwen3 moe"] = """
            {"model_type": "qwen3_moe", "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "head_dim": 16, "num_experts": 8,
             "num_experts_per_tok": 3, "moe_intermediate_size": 24,
             "norm_topk_prob": true, "router_aux_loss_coef": 0.002, "decoder_sparse_step": 2, "mlp_only_layers": [3],
             "use_sliding_window": false, "sliding_window": null,
             "max_window_layers": 48, "max_position_embeddings": 40960}
            """,
        ["mixtral"] = """
            {"model_type": "mixtral", "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "num_local_experts": 8,
             "num_experts_per_tok": 2, "router_aux_loss_coef": 0.02,
             "sliding_window": null, "max_position_embeddings": 32768}
            """,
        ["qwen2 with windows"] = """
            {"model_type": "qwen2", "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "use_sliding_window": true,
             "sliding_window": 131072, "max_window_layers": 6,
             "max_position_embeddings": 131072}
            """,
    };

    public static TheoryData<string> Names => [.. Published.Keys];

    [Fact]
    public void Load_PublishedConfigurations_ReadsWhatEachFamilyHasOfItsOwn()
    {
        var phi = Load("phi-3-mini-128k");
        Assert.Equal(
            (ModelFamily.Phi3, RopeType.LongRope, 4_096, 262_144),
            (phi.Family, phi.RopeScaling.Type, phi.RopeScaling.OriginalMaxPositionEmbeddings, phi.SlidingWindow)
        );
        Assert.Equal([1.5, 2, 30, 60.5], phi.RopeScaling.LongFactor!);
        Assert.Equal((false, true), (phi.IsLong(4_096), phi.IsLong(4_097)));
        Assert.Equal((6, true), (Load("phi-4-mini").RotaryDim, Load("phi-4-mini").TieWordEmbeddings));
        Assert.Equal([4_096, null], new[] { Load("mistral v0.1").SlidingWindow, Load("mistral v0.3").SlidingWindow });

        var gemma2 = Load("gemma-2-2b");
        Assert.Equal(
            (1 / 16.0, 50, 30, true),
            (gemma2.AttentionScale, gemma2.AttentionSoftCap, gemma2.LogitSoftCap, gemma2.TieWordEmbeddings)
        );
        Assert.Equal([4_096, null, 4_096, null], Windows(gemma2)[..4]);

        int?[] pattern = [512, 512, 512, 512, 512, null, 512, 512];
        var gemma3 = Load("gemma-3-1b");
        Assert.Equal(pattern, Windows(gemma3));
        Assert.Equal(
            (10_000, 1_000_000, null, null),
            (gemma3.LocalRopeTheta, gemma3.RopeTheta, gemma3.AttentionSoftCap, gemma3.LogitSoftCap)
        );
        Assert.Equal([true, true, true, true, true, false, true, true], Layers(gemma3).Select(layer => gemma3.AttentionOf(layer).IsLocal));
        var later = Load("gemma-3 of transformers 5");
        Assert.Equal(
            (20_000, 1_000_000, RopeType.Linear, 8),
            (later.LocalRopeTheta, later.RopeTheta, later.RopeScaling.Type, later.RopeScaling.Factor)
        );
        Assert.Equal(pattern.Select(window => window * 2), Windows(later));

        foreach (var name in new[] { "smollm3", "smollm3 silent" })
        {
            var smol = Load(name);
            Assert.Equal([3, 7], Layers(smol).Where(layer => !smol.AttentionOf(layer).IsRotated));
        }

        var moe = Load("qwen3 moe");
        Assert.Equal(
            (8, 3, 24, true, 0.002),
            (
                moe.Experts!.NumExperts,
                moe.Experts.NumExpertsPerToken,
                moe.Experts.IntermediateSize,
                moe.Experts.NormalizesTopK,
                moe.Experts.RouterLossWeight
            )
        );
        Assert.Equal([1, 5, 7], Layers(moe).Where(moe.HasExperts));
        var mixtral = Load("mixtral");
        Assert.Equal(
            (96, true, 8),
            (mixtral.Experts!.IntermediateSize, mixtral.Experts.NormalizesTopK, Layers(mixtral).Count(mixtral.HasExperts))
        );
        Assert.Equal([null, null, null, null, null, null, 131_072, 131_072], Windows(Load("qwen2 with windows")));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Load_WhatSaveWrote_IsTheSame(string name)
    {
        var shape = Load(name);

        shape.Save(_directory.Path);
        var written = File.ReadAllText(_directory.File("config.json"));
        var loaded = ModelConfiguration.Load(_directory.Path);
        loaded.Save(_directory.Path);

        Assert.Equal(written, File.ReadAllText(_directory.File("config.json")));
        Assert.Equal(Layers(shape).Select(shape.AttentionOf), Layers(loaded).Select(loaded.AttentionOf));
        Assert.Equal(
            (shape.Family, shape.AttentionScale, shape.AttentionSoftCap, shape.LogitSoftCap),
            (loaded.Family, loaded.AttentionScale, loaded.AttentionSoftCap, loaded.LogitSoftCap)
        );
        // Every number of the published file comes back.
        var (given, back) = (JsonNode.Parse(Json(name))!.AsObject(), JsonNode.Parse(written)!.AsObject());
        Assert.All(given.Where(field => field.Value is JsonValue && back.ContainsKey(field.Key)), field =>
            Assert.Equal(Number(field.Value!), Number(back[field.Key]!))
        );

        static string Number(JsonNode node) =>
            node.GetValueKind() == System.Text.Json.JsonValueKind.Number ? $"{node.GetValue<double>()}" : node.ToJsonString();
    }

    [Theory]
    [InlineData(
        """{"model_type": "gpt_neox"}""",
        "model_type \"gpt_neox\" is not supported; supported: llama, qwen2, qwen3, "
            + "mistral, phi3, gemma2, gemma3_text, olmo2, smollm3, qwen3_moe, mixtral, mingru"
    )]
    [InlineData("""{"model_type": "llama", "state_size": 16}""", "state_size is not supported")]
    [InlineData("""{"model_type": "gemma2", "conv_kernel": 4}""", "conv_kernel is not supported")]
    [InlineData("""{"model_type": "gemma3_text", "use_bidirectional_attention": true}""", "use_bidirectional_attention is not supported")]
    [InlineData(
        """{"model_type": "gemma2", "hidden_activation": "silu"}""",
        "hidden_act \"silu\" is not supported; supported: gelu_pytorch_tanh"
    )]
    [InlineData("""{"model_type": "gemma2", "sliding_window": 0}""", "sliding_window is 0 but must be positive")]
    [InlineData("""{"model_type": "gemma2", "layer_types": ["full_attention"]}""", "layer_types has 1 entries and num_hidden_layers is 8")]
    [InlineData(
        """{"model_type": "gemma2", "layer_types": ["chunked_attention"]}""",
        "layer_types: \"chunked_attention\" is not supported; supported: full_attention, sliding_attention"
    )]
    [InlineData(
        """{"model_type": "gemma2", "attn_logit_softcapping": -1}""",
        "attn_logit_softcapping is -1 but must be positive and finite"
    )]
    [InlineData("""{"model_type": "llama", "attn_logit_softcapping": 50}""", "attn_logit_softcapping is not supported")]
    [InlineData("""{"model_type": "llama", "num_local_experts": 8}""", "num_local_experts is not supported")]
    [InlineData("""{"model_type": "llama", "partial_rotary_factor": 0.5}""", "partial_rotary_factor is not supported")]
    [InlineData("""{"model_type": "mixtral", "num_experts_per_tok": 9}""", "num_experts_per_tok 9 is more than num_local_experts 8")]
    [InlineData("""{"model_type": "mixtral", "router_jitter_noise": 0.1}""", "router_jitter_noise is not supported")]
    [InlineData("""{"model_type": "qwen3_moe", "mlp_only_layers": [8]}""", "mlp_only_layers names layer 8, and there are 8 from 0 on")]
    [InlineData("""{"model_type": "qwen3_moe", "num_experts": 0}""", "num_experts is 0 but must be positive")]
    [InlineData(
        """{"model_type": "smollm3", "no_rope_layers": [1]}""",
        "no_rope_layers is [1] but must be an array with a number for each of 8 layers"
    )]
    [InlineData(
        """{"model_type": "phi3", "partial_rotary_factor": 1.5}""",
        "partial_rotary_factor is 1.5 but must be above 0 and at most 1"
    )]
    [InlineData(
        """{"model_type": "phi3", "partial_rotary_factor": 0.4}""",
        "partial_rotary_factor is 0.4 but must be such that an even number of 8 channels is rotated"
    )]
    [InlineData(
        """{"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1, 2, 3, 4]}}""",
        "rope_scaling.short_factor must be 4 positive numbers"
    )]
    [InlineData(
        """{"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1, 2, 3, 4]}}""",
        "the field rope_scaling.long_factor is missing"
    )]
    [InlineData(
        """{"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1, 2, 3, 4], "long_mscale": 1.2}}""",
        "rope_scaling.long_mscale is not supported"
    )]
    public void Load_FieldThatIsNotKnownOrCannotBe_IsNamed(string fields, string expected)
    {
        var message = Assert.Throws<InvalidInputException>(() => LoadJson(WithSizes(fields))).Message;

        Assert.StartsWith(_directory.File("config.json") + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    const string MinGru = """
        "model_type": "mingru", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "vocab_size": 100, "conv_kernel": 4
        """;

    [Fact]
    public void Load_RecurrentModel_HasStatesAndNoHeads()
    {
        var shape = LoadJson($$"""{{{MinGru}}, "state_size": 80, "max_position_embeddings": 9000}""");

        Assert.Equal((ModelFamily.MinGru, 80, 4), (shape.Family, shape.Recurrence!.StateSize, shape.Recurrence.ConvKernel));
        Assert.Equal((0, 0, 0, 9_000), (shape.NumAttentionHeads, shape.NumKeyValueHeads, shape.HeadDim, shape.MaxPositionEmbeddings));
        shape.Save(_directory.Path);
        Assert.Equal(
            shape,
            ModelConfiguration.Load(_directory.Path) with
            {
                EosTokenIds = shape.EosTokenIds,
                NoRopeLayers = shape.NoRopeLayers,
            }
        );
        var written = JsonNode.Parse(File.ReadAllText(_directory.File("config.json")))!.AsObject();
        Assert.DoesNotContain(written, field =>
            field.Key.Contains("rope") || field.Key.Contains("attention") || field.Key.Contains("head")
        );
    }

    [Theory]
    [InlineData("", "the field state_size is missing")]
    [InlineData(""", "state_size": 0""", "state_size is 0 but must be positive")]
    [InlineData(""", "state_size": 16777216""", "state_size is 16777216 but must be at most 1048576")]
    [InlineData(""", "state_size": 16, "num_attention_heads": 4""", "num_attention_heads is not supported; it changes the arithmetic")]
    [InlineData(""", "state_size": 16, "rope_theta": 10000""", "rope_theta is not supported; it changes the arithmetic")]
    [InlineData(""", "state_size": 16, "min_gru_expansion": 1.5""", "min_gru_expansion is not supported; it changes the arithmetic")]
    public void Load_RecurrentModelThatCannotBe_NamesTheField(string fields, string expected)
    {
        var message = Assert.Throws<InvalidInputException>(() => LoadJson($"{{{MinGru}{fields}}}")).Message;

        Assert.StartsWith(_directory.File("config.json") + ": ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Configure_RecurrentArchitecture_TakesItsOwnFieldsAlone()
    {
        var architecture = new ModelArchitecture
        {
            ModelType = "mingru",
            HiddenSize = 64,
            NumHiddenLayers = 2,
        };

        Assert.Equal(new() { StateSize = 128, ConvKernel = 4 }, architecture.Configure(100, []).Recurrence);
        Assert.Equal(
            new() { StateSize = 90, ConvKernel = 1 },
            (architecture with { StateSize = 90, ConvKernel = 1 }).Configure(100, []).Recurrence
        );
        foreach (
            var (name, wrong) in new[]
            {
                ("num_attention_heads", architecture with { NumAttentionHeads = 4 }),
                ("num_key_value_heads", architecture with { NumKeyValueHeads = 4 }),
                ("head_dim", architecture with { HeadDim = 4 }),
                ("rope_theta", architecture with { RopeTheta = 10_000 }),
            }
        )
        {
            Refused(wrong, $"architecture: {name}: mingru has a recurrence in place of attention; leave it out");
        }

        var llama = architecture with { ModelType = null, NumAttentionHeads = 4 };
        Refused(llama with { StateSize = 90 }, "architecture: state_size: llama has attention; leave it out, or take mingru");
        Refused(llama with { ConvKernel = 4 }, "architecture: conv_kernel: llama has attention; leave it out, or take mingru");
        Refused(llama with { NumAttentionHeads = null }, "architecture: num_attention_heads is missing: llama has attention");
    }

    [Fact]
    public void Configure_ArchitectureOfAFamily_HasWhatTheFamilyHas()
    {
        var architecture = new ModelArchitecture
        {
            HiddenSize = 64,
            NumHiddenLayers = 6,
            NumAttentionHeads = 4,
            IntermediateSize = 96,
        };

        var gemma = (architecture with { ModelType = "gemma3_text", SlidingWindow = 32 }).Configure(100, []);
        Assert.Equal([32, 32, 32, 32, 32, null], Windows(gemma));
        Assert.Equal((1 / 4.0, 10_000), (gemma.AttentionScale, gemma.LocalRopeTheta));
        Assert.Equal([3], (architecture with { ModelType = "smollm3" }).Configure(100, []).NoRopeLayers);
        var moe = (architecture with { ModelType = "qwen3_moe", NumExperts = 4, MoeIntermediateSize = 24 }).Configure(100, []);
        Assert.Equal((4, 2, 24), (moe.Experts!.NumExperts, moe.Experts.NumExpertsPerToken, moe.Experts.IntermediateSize));

        Refused(architecture with { ModelType = "gpt2" }, "architecture: model_type \"gpt2\" is not supported; supported: llama, ");
        Refused(architecture with { NumExperts = 4 }, "architecture: llama has no experts");
        Refused(
            architecture with
            {
                ModelType = "qwen3",
                SlidingWindow = 4,
            },
            "architecture: sliding_window: layers of qwen3 see every token"
        );
        Refused(
            architecture with
            {
                ModelType = "mixtral",
                MoeIntermediateSize = 4,
            },
            "architecture: moe_intermediate_size: intermediate_size is the width of the experts of mixtral"
        );
    }

    /// <summary>Whatever a family calls them in its config.json.</summary>
    [Fact]
    public void Configure_ExpertsThatCannotBe_AreNamedByTheRecipesKeys()
    {
        var mixtral = new ModelArchitecture
        {
            ModelType = "mixtral",
            HiddenSize = 64,
            NumHiddenLayers = 2,
            NumAttentionHeads = 4,
            IntermediateSize = 96,
        };

        Refused(mixtral with { NumExperts = 0 }, "architecture: num_experts is 0 but must be positive");
        Refused(mixtral with { NumExperts = 4, NumExpertsPerTok = 5 }, "architecture: num_experts_per_tok 5 is more than num_experts 4");
        Assert.Equal(
            "architecture: intermediate_size is 1048577 but must be at most 1048576",
            Assert.Throws<InvalidInputException>(() => (mixtral with { IntermediateSize = 1_048_577 }).Configure(100, [])).Message
        );
        Refused(
            mixtral with
            {
                ModelType = "qwen3_moe",
                MoeIntermediateSize = 0,
            },
            "architecture: moe_intermediate_size is 0 but must be positive"
        );
    }

    /// <summary>Central differences of the decoder itself along a random direction of all weights, in float64.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Backward_EveryFamily_EqualsCentralDifferences(string shape)
    {
        using var scope = NewDisposeScope();
        using var parameters = DecoderShapes.Parameters(shape, seed: 8);
        using var gradient = new FloatBuffer(parameters.Count);
        using var decoder = new Decoder(TrainedWeights.All(parameters), gradient, activations: ScalarType.Float64);
        var batch = DecoderShapes.Batch(12, 40);
        var slopes = randn([batch.Ids.Length, parameters.Configuration.HiddenSize], dtype: ScalarType.Float64, generator: new Generator(9));
        decoder.Forward(batch).backward([slopes]);
        CustomGradient.Finish();
        float[] start = [.. parameters.Flat.Span],
            slope = [.. gradient.Span];
        var random = new Random(4);
        double[] direction = [.. start.Select(_ => random.NextDouble() - 0.5)];

        const double Step = 1e-4;
        var (above, up) = At(Step);
        var (below, down) = At(-Step);

        var expected = slope.Select((value, i) => value * ((double)up[i] - down[i])).Sum(); // by the steps as float32 took them
        Assert.Equal(expected, above - below, 1e-3 * Math.Abs(expected));

        (double Value, float[] Weights) At(double step)
        {
            using var inner = NewDisposeScope();
            using var noGrad = no_grad();
            for (var i = 0; i < start.Length; i++)
            {
                parameters.Flat.Span[i] = (float)(start[i] + step * direction[i]);
            }

            return ((decoder.Forward(batch) * slopes).sum().item<double>(), [.. parameters.Flat.Span]);
        }
    }

    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public void Save_EveryFamily_LoadsAsItWas(string shape)
    {
        using var parameters = DecoderShapes.Parameters(shape, seed: 2);

        ModelDirectory.Save(_directory.Path, parameters, TensorDtype.BFloat16, shardBytes: 20_000);

        using var loaded = ModelDirectory.Load(_directory.Path);
        using var frozen = ModelDirectory.LoadFrozen(_directory.Path);
        Assert.Equal(parameters.Names, loaded.Names);
        Assert.All(loaded.Flat.Span.ToArray().Zip(parameters.Flat.Span.ToArray()), pair =>
            Assert.Equal(pair.Second, pair.First, Math.Abs(pair.Second) / 200)
        );
        var batch = DecoderShapes.Batch(20, 50);
        Rounding.Close(
            DecoderRun.Forward(TrainedWeights.None(loaded), batch),
            DecoderRun.Forward(TrainedWeights.None(frozen), batch),
            2 * Rounding.OfForward(parameters.Configuration, 50)
        );
    }

    static void Refused(ModelArchitecture architecture, string message) =>
        Assert.StartsWith(
            message,
            Assert.Throws<InvalidInputException>(() => architecture.Configure(100, [])).Message,
            StringComparison.Ordinal
        );

    static IEnumerable<int> Layers(ModelConfiguration shape) => Enumerable.Range(0, shape.NumHiddenLayers);

    static int?[] Windows(ModelConfiguration shape) => [.. Layers(shape).Select(layer => shape.AttentionOf(layer).Window)];

    ModelConfiguration Load(string name) => LoadJson(Json(name));

    static string Json(string name) => WithSizes(Published[name]);

    static string WithSizes(string fields)
    {
        var json = JsonNode.Parse(fields)!.AsObject();
        foreach (
            var (name, value) in new[]
            {
                ("hidden_size", 32),
                ("intermediate_size", 96),
                ("num_attention_heads", 4),
                ("num_key_value_heads", 2),
                ("num_hidden_layers", 8),
                ("vocab_size", 100),
            }
        )
        {
            json[name] = value;
        }

        return json.ToJsonString();
    }

    ModelConfiguration LoadJson(string json)
    {
        File.WriteAllText(_directory.File("config.json"), json);
        return ModelConfiguration.Load(_directory.Path);
    }
}
