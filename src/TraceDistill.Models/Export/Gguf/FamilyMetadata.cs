using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>
/// llama.cpp's knowledge of each family, as its loader (<c>llama-model.cpp</c>) reads it: further keys, what it cannot run, and what it
/// does otherwise.
/// </summary>
static class FamilyMetadata
{
    /// <summary>llama.cpp's own base of rotations in Gemma 3's layers with a window.</summary>
    const double LocalRopeTheta = 10_000;

    /// <summary>It knows the largest Gemma models by their number of layers, and divides their scores by another number.</summary>
    static readonly Dictionary<ModelFamily, int> LayersOfLargest = new() { [ModelFamily.Gemma2] = 46, [ModelFamily.Gemma3] = 62 };

    /// <exception cref="InvalidInputException">llama.cpp does not run such a network.</exception>
    public static void Add(GgufMetadata metadata, ModelConfiguration c, string architecture, string file)
    {
        if (ProblemOf(c) is { } problem)
        {
            throw new InvalidInputException($"{file}: {problem}; export to huggingface");
        }

        if (c.Family is ModelFamily.Gemma2 or ModelFamily.Gemma3)
        {
            metadata.Add($"{architecture}.attention.sliding_window", c.SlidingWindow ?? c.MaxPositionEmbeddings);
        }

        if (c.Family == ModelFamily.Phi3)
        {
            metadata.Add($"{architecture}.attention.sliding_window", c.SlidingWindow ?? 0);
        }

        if (c.AttentionSoftCap is { } attention)
        {
            metadata.Add($"{architecture}.attn_logit_softcapping", attention);
        }

        if (c.LogitSoftCap is { } logits)
        {
            metadata.Add($"{architecture}.final_logit_softcapping", logits);
        }

        if (c.Experts is { } experts)
        {
            metadata.Add($"{architecture}.expert_count", experts.NumExperts);
            metadata.Add($"{architecture}.expert_used_count", experts.NumExpertsPerToken);
            metadata.Add($"{architecture}.expert_feed_forward_length", experts.IntermediateSize);
        }
    }

    /// <summary>Differences in what llama.cpp reads, each a line.</summary>
    public static IEnumerable<string> Differences(ModelConfiguration c)
    {
        if (c.RopeScaling.Type == RopeType.Dynamic)
        {
            yield return "rope_scaling: llama.cpp has no dynamic scaling, which acts beyond max_position_embeddings alone";
        }

        if (c.SlidingWindow is { } window && window < c.MaxPositionEmbeddings && c.Family is not (ModelFamily.Gemma2 or ModelFamily.Gemma3))
        {
            yield return $"sliding_window: llama.cpp has none for {c.Family.ModelType()}: "
                + $"in texts of more than {window} tokens it sees more than the model was trained with";
        }
    }

    /// <summary>Factor of queries that makes llama.cpp's scores those of the model.</summary>
    public static double QueryFactor(ModelConfiguration c)
    {
        var isLargest = LayersOfLargest.TryGetValue(c.Family, out var layers) && layers == c.NumHiddenLayers;
        return c.AttentionScale * Math.Sqrt(isLargest ? (double)c.HiddenSize / c.NumAttentionHeads : c.HeadDim);
    }

    static string? ProblemOf(ModelConfiguration c)
    {
        var type = c.Family.ModelType();
        bool[] pattern =
        [
            .. Enumerable.Range(1, c.NumHiddenLayers).Select(layer => c.Traits.WindowPattern == 0 || layer % c.Traits.WindowPattern != 0),
        ];
        int[] noRope =
        [
            .. Enumerable
                .Range(0, c.NumHiddenLayers)
                .Where(layer => c.Traits.NoRopeInterval > 0 && (layer + 1) % c.Traits.NoRopeInterval == 0),
        ];
        return c switch
        {
            { Recurrence: not null } => $"{type}: llama.cpp has no such architecture",
            { Pictures: not null } => "picture_encoder: llama.cpp has no such architecture",
            { AttentionBias: true, Family: not ModelFamily.Llama } =>
                $"attention_bias in a {type} model: llama.cpp has no bias of the output projection there",
            { Family: ModelFamily.Gemma2, TieWordEmbeddings: false } =>
                "tie_word_embeddings is false in a gemma2 model: llama.cpp has the embedding as its output",
            { Family: ModelFamily.Gemma2, AttentionSoftCap: null } or { Family: ModelFamily.Gemma2, LogitSoftCap: null } =>
                "a gemma2 model without attn_logit_softcapping or final_logit_softcapping: llama.cpp has both",
            { Family: ModelFamily.Gemma3, AttentionSoftCap: not null } or { Family: ModelFamily.Gemma3, LogitSoftCap: not null } =>
                "attn_logit_softcapping or final_logit_softcapping in a gemma3_text model: llama.cpp has neither",
            { Family: ModelFamily.Gemma3, SlidingWindow: null } =>
                "sliding_window is null in a gemma3_text model: llama.cpp has windows there",
            { Family: ModelFamily.Gemma3, LocalRopeTheta: not LocalRopeTheta } =>
                $"rope_local_base_freq {c.LocalRopeTheta}: llama.cpp has {LocalRopeTheta} alone",
            { Traits.WindowPattern: > 0, SlidingWindow: not null }
                when !(c.SlidingLayers ?? pattern.Select(_ => true)).SequenceEqual(pattern) =>
                $"layer_types: llama.cpp has full_attention in the last of every {c.Traits.WindowPattern} layers of {type}",
            { Traits.NoRopeInterval: > 0 } when !c.NoRopeLayers.SequenceEqual(noRope) =>
                $"no_rope_layers: llama.cpp rotates in all but the last of every {c.Traits.NoRopeInterval} layers of {type}",
            { Family: ModelFamily.Olmo2 or ModelFamily.Phi3 } when c.QuerySize != c.HiddenSize =>
                $"{c.NumAttentionHeads} heads of head_dim {c.HeadDim} and hidden_size "
                    + $"{c.HiddenSize}: llama.cpp's {type} has heads as wide as the model",
            { Experts: not null } when !Enumerable.Range(0, c.NumHiddenLayers).All(c.HasExperts) =>
                $"decoder_sparse_step or mlp_only_layers: llama.cpp's {type} has experts in every layer",
            { Experts.NormalizesTopK: false } =>
                $"norm_topk_prob is false: in llama.cpp's {type} the weights of the chosen experts sum to 1",
            _ => null,
        };
    }
}
