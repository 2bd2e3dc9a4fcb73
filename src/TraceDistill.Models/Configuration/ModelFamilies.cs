namespace TraceDistill.Models.Configuration;

/// <summary>Table of model families: the one place to add another.</summary>
public static class ModelFamilies
{
    static readonly Dictionary<ModelFamily, FamilyTraits> All = new()
    {
        [ModelFamily.Llama] = new()
        {
            ModelType = "llama",
            Architecture = "LlamaForCausalLM",
            Defaults = new() { MaxPositionEmbeddings = 2_048 },
        },
        [ModelFamily.Qwen2] = new()
        {
            ModelType = "qwen2",
            Architecture = "Qwen2ForCausalLM",
            HasQueryKeyValueBias = true,
            ReadsAttentionBias = false,
            Windows = SlidingWindows.WhereSwitchedOn,
            Fields = ["use_sliding_window", "layer_types"],
            Defaults = new() { SlidingWindow = 4_096 },
        },
        [ModelFamily.Qwen3] = new()
        {
            ModelType = "qwen3",
            Architecture = "Qwen3ForCausalLM",
            QueryKeyNorms = QueryKeyNorms.OfHeads,
            Windows = SlidingWindows.WhereSwitchedOn,
            Fields = ["use_sliding_window", "layer_types"],
            Defaults = new() { HeadDim = 128, SlidingWindow = 4_096 },
        },
        [ModelFamily.Mistral] = new()
        {
            ModelType = "mistral",
            Architecture = "MistralForCausalLM",
            GgufArchitecture = "llama",
            ReadsAttentionBias = false,
            Windows = SlidingWindows.WhereGiven,
            Defaults = new() { SlidingWindow = 4_096, MaxPositionEmbeddings = 131_072 },
        },
        [ModelFamily.Phi3] = new()
        {
            ModelType = "phi3",
            Architecture = "Phi3ForCausalLM",
            ReadsAttentionBias = false,
            FusesProjections = true,
            Windows = SlidingWindows.WhereGiven,
            Fields = ["partial_rotary_factor"],
            Defaults = new() { RmsNormEps = 1e-5, MaxPositionEmbeddings = 4_096 },
        },
        [ModelFamily.Gemma2] = new()
        {
            ModelType = "gemma2",
            Architecture = "Gemma2ForCausalLM",
            Norms = NormPlacement.BeforeAndAfter,
            NormsAddOne = true,
            ScalesEmbedding = true,
            Gate = GateActivation.GeluTanh,
            Windows = SlidingWindows.WhereGiven,
            WindowPattern = 2,
            Fields = ["query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "layer_types"],
            Defaults = new()
            {
                HeadDim = 256,
                QueryPreAttnScalar = 256,
                AttentionSoftCap = 50,
                LogitSoftCap = 30,
                SlidingWindow = 4_096,
                MaxPositionEmbeddings = 8_192,
                TieWordEmbeddings = true,
            },
        },
        [ModelFamily.Gemma3] = new()
        {
            ModelType = "gemma3_text",
            Architecture = "Gemma3ForCausalLM",
            ClassifierPrefix = "Gemma3Text", // without it, a model of pictures too
            GgufArchitecture = "gemma3",
            Norms = NormPlacement.BeforeAndAfter,
            NormsAddOne = true,
            QueryKeyNorms = QueryKeyNorms.OfHeads,
            ScalesEmbedding = true,
            Gate = GateActivation.GeluTanh,
            Windows = SlidingWindows.WhereGiven,
            WindowPattern = 6,
            Fields = ["query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "layer_types"],
            Defaults = new()
            {
                HeadDim = 256,
                QueryPreAttnScalar = 256,
                RopeTheta = 1_000_000,
                LocalRopeTheta = 10_000,
                SlidingWindow = 4_096,
                MaxPositionEmbeddings = 131_072,
                TieWordEmbeddings = true,
            },
        },
        [ModelFamily.Olmo2] = new()
        {
            ModelType = "olmo2",
            Architecture = "Olmo2ForCausalLM",
            Norms = NormPlacement.After,
            QueryKeyNorms = QueryKeyNorms.OfWidth,
            Defaults = new() { RmsNormEps = 1e-5, MaxPositionEmbeddings = 2_048 },
        },
        [ModelFamily.SmolLM3] = new()
        {
            ModelType = "smollm3",
            Architecture = "SmolLM3ForCausalLM",
            NoRopeInterval = 4,
            Windows = SlidingWindows.WhereSwitchedOn,
            Fields = ["no_rope_layers", "no_rope_layer_interval", "use_sliding_window", "layer_types"],
            Defaults = new() { RopeTheta = 2_000_000, TieWordEmbeddings = true },
        },
        [ModelFamily.Qwen3Moe] = new()
        {
            ModelType = "qwen3_moe",
            Architecture = "Qwen3MoeForCausalLM",
            GgufArchitecture = "qwen3moe",
            QueryKeyNorms = QueryKeyNorms.OfHeads,
            Windows = SlidingWindows.WhereSwitchedOn,
            Fields = ["use_sliding_window", "layer_types", "num_experts"],
            Experts = new("mlp", "gate_proj", "up_proj", "down_proj") { CountField = "num_experts" },
            Defaults = new()
            {
                SlidingWindow = 4_096,
                NumExperts = 128,
                NumExpertsPerToken = 8,
                ExpertIntermediateSize = 768,
            },
        },
        [ModelFamily.Mixtral] = new()
        {
            ModelType = "mixtral",
            Architecture = "MixtralForCausalLM",
            GgufArchitecture = "llama",
            ReadsAttentionBias = false,
            Windows = SlidingWindows.WhereGiven,
            Fields = ["num_local_experts"],
            Experts = new("block_sparse_moe", "w1", "w3", "w2") { CountField = "num_local_experts" },
            Defaults = new()
            {
                RmsNormEps = 1e-5,
                RopeTheta = 1_000_000,
                MaxPositionEmbeddings = 131_072,
                NumExperts = 8,
                NumExpertsPerToken = 2,
                NormalizesTopK = true,
            },
        },
        [ModelFamily.MinGru] = new()
        {
            ModelType = "mingru",
            Architecture = "MinGruForCausalLM",
            IsRecurrent = true,
            ReadsAttentionBias = false,
            Fields = ["state_size", "conv_kernel"],
            Defaults = new() { TieWordEmbeddings = true },
        },
    };

    /// <summary>Names that <c>model_type</c> may have.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Values.Select(traits => traits.ModelType)];

    /// <returns>The family whose <c>model_type</c> this is, or null.</returns>
    public static ModelFamily? Parse(string? modelType) =>
        All.Where(family => family.Value.ModelType == modelType).Select(family => (ModelFamily?)family.Key).FirstOrDefault();

    /// <summary>In what the family differs from Llama.</summary>
    public static FamilyTraits Traits(this ModelFamily family) => All[family];

    /// <returns>Its name in <c>config.json</c>.</returns>
    public static string ModelType(this ModelFamily family) => All[family].ModelType;
}
