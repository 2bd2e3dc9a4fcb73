using System.Globalization;

namespace TraceDistill.Models.Configuration;

/// <summary>
/// Bounds of what a configuration may say: far above every published model, and low enough that no product of sizes overflows.
/// </summary>
static class ConfigurationLimits
{
    const int MostTokens = 1 << 24;
    const int MostChannels = 1 << 20;
    const int MostLayers = 4_096;
    const int MostHeads = 4_096;
    const int MostExperts = 4_096;
    const int MostHeadChannels = 4_096;
    const int MostTaps = 64;
    const int MostPositions = 1 << 27;
    const int MostPixels = 4_096;

    /// <summary>Each problem by the field's name, with the value and what it must be.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="expertsField">Where the number of experts stands, which a recipe calls alike for every family.</param>
    public static IEnumerable<string> ProblemsOf(ModelConfiguration configuration, string? expertsField)
    {
        string[] wrong = [.. Sizes(configuration, expertsField).Concat(Numbers(configuration)).Concat(Rope(configuration.RopeScaling))];

        // Relations between sizes say nothing where a size is wrong by itself.
        return wrong.Length > 0 ? wrong : Relations(configuration, expertsField);
    }

    static IEnumerable<string> Sizes(ModelConfiguration c, string? expertsField)
    {
        (string Name, int Value, int Most)[] sizes =
        [
            ("vocab_size", c.VocabSize, MostTokens),
            ("hidden_size", c.HiddenSize, MostChannels),
            ("intermediate_size", c.IntermediateSize, MostChannels),
            ("num_hidden_layers", c.NumHiddenLayers, MostLayers),
            ("max_position_embeddings", c.MaxPositionEmbeddings, MostPositions),
            ("rope_scaling.original_max_position_embeddings", c.RopeScaling.OriginalMaxPositionEmbeddings ?? 1, MostPositions),
            ("sliding_window", c.SlidingWindow ?? 1, MostPositions),
        ];
        sizes = [.. sizes, .. MixerSizes(c), .. ExpertSizes(c, expertsField), .. PictureSizes(c.Pictures)];
        return sizes
            .Distinct()
            .Where(size => size.Value <= 0 || size.Value > size.Most)
            .Select(size =>
                size.Value <= 0
                    ? $"{size.Name} is {size.Value} but must be positive"
                    : $"{size.Name} is {size.Value} but must be at most {size.Most}"
            );
    }

    static IEnumerable<(string Name, int Value, int Most)> MixerSizes(ModelConfiguration c) =>
        c.Recurrence is { } recurrence
            ? [("state_size", recurrence.StateSize, MostChannels), ("conv_kernel", recurrence.ConvKernel, MostTaps)]
            :
            [
                ("num_attention_heads", c.NumAttentionHeads, MostHeads),
                ("num_key_value_heads", c.NumKeyValueHeads, MostHeads),
                ("head_dim", c.HeadDim, MostHeadChannels),
            ];

    static IEnumerable<(string Name, int Value, int Most)> ExpertSizes(ModelConfiguration c, string? expertsField) =>
        c.Experts is not { } experts
            ? []
            :
            [
                (expertsField!, experts.NumExperts, MostExperts),
                ("num_experts_per_tok", experts.NumExpertsPerToken, MostExperts),
                (
                    c.Traits.Defaults.ExpertIntermediateSize is null ? "intermediate_size" : "moe_intermediate_size",
                    experts.IntermediateSize,
                    MostChannels
                ),
                ("decoder_sparse_step", experts.SparseStep, MostLayers),
            ];

    static IEnumerable<(string Name, int Value, int Most)> PictureSizes(PictureEncoderSettings? c) =>
        c is null
            ? []
            :
            [
                ("picture_encoder.height", c.Height, MostPixels),
                ("picture_encoder.width", c.Width, MostPixels),
                ("picture_encoder.patch_height", c.PatchHeight, MostPixels),
                ("picture_encoder.patch_width", c.PatchWidth, MostPixels),
                ("picture_encoder.hidden_size", c.HiddenSize, MostPixels),
                ("picture_encoder.num_attention_heads", c.NumAttentionHeads, MostHeads),
                ("picture_encoder.intermediate_size", c.IntermediateSize, MostChannels),
            ];

    /// <summary>Relations between sizes of an encoder of pictures.</summary>
    static IEnumerable<string> Pictures(ModelConfiguration c)
    {
        if (c.Pictures is not { } pictures)
        {
            yield break;
        }

        if (pictures.Channels is not (1 or 3))
        {
            yield return $"picture_encoder.channels is {pictures.Channels} but must be 1 (gray) or 3 (colours)";
        }

        if (pictures.NumHiddenLayers is < 0 or > MostLayers)
        {
            yield return $"picture_encoder.num_hidden_layers is {pictures.NumHiddenLayers} but must be from 0 to {MostLayers}";
        }

        foreach (
            var (name, value, part, divisor) in new[]
            {
                ("height", pictures.Height, "patch_height", pictures.PatchHeight),
                ("width", pictures.Width, "patch_width", pictures.PatchWidth),
                ("hidden_size", pictures.HiddenSize, "num_attention_heads", pictures.NumAttentionHeads),
            }
        )
        {
            if (value % divisor != 0)
            {
                yield return $"picture_encoder.{name} is {value} and no multiple of {part} {divisor}";
            }
        }

        if (pictures.Patches >= c.MaxPositionEmbeddings)
        {
            yield return $"picture_encoder makes {pictures.Patches} vectors of a picture, and max_position_embeddings is "
                + $"{c.MaxPositionEmbeddings}: take larger patches, or more positions";
        }
    }

    static IEnumerable<string> Numbers(ModelConfiguration c)
    {
        // Computed with in single precision, where a number may become 0 or infinite that was neither.
        if (!((float)c.RmsNormEps > 0) || !float.IsFinite((float)c.RmsNormEps))
        {
            yield return Number("rms_norm_eps", c.RmsNormEps, "positive and finite");
        }

        // Its powers are the frequencies: below 1 they grow without bound.
        if (!(c.RopeTheta >= 1) || !double.IsFinite(c.RopeTheta))
        {
            yield return Number("rope_theta", c.RopeTheta, "positive and finite, and at least 1");
        }

        if (c.LocalRopeTheta is { } local && (!(local >= 1) || !double.IsFinite(local)))
        {
            yield return Number("rope_local_base_freq", local, "positive and finite, and at least 1");
        }

        if (!(c.PartialRotaryFactor > 0) || !(c.PartialRotaryFactor <= 1))
        {
            yield return Number("partial_rotary_factor", c.PartialRotaryFactor, "above 0 and at most 1");
        }

        foreach (
            var (name, value) in new[]
            {
                ("query_pre_attn_scalar", c.QueryPreAttnScalar),
                ("attn_logit_softcapping", c.AttentionSoftCap),
                ("final_logit_softcapping", c.LogitSoftCap),
            }
        )
        {
            if (value is { } number && (!(number > 0) || !float.IsFinite((float)number)))
            {
                yield return Number(name, number, "positive and finite");
            }
        }

        if (c.Experts is { } experts && (!(experts.RouterLossWeight >= 0) || !float.IsFinite((float)experts.RouterLossWeight)))
        {
            yield return Number("router_aux_loss_coef", experts.RouterLossWeight, "finite and not negative");
        }

        if (!(c.InitializerRange >= 0) || !float.IsFinite((float)c.InitializerRange))
        {
            yield return Number("initializer_range", c.InitializerRange, "finite and not negative");
        }
    }

    static IEnumerable<string> Rope(RopeScaling scaling)
    {
        (string Name, double? Value)[] positive =
        [
            ("factor", scaling.Factor),
            ("low_freq_factor", scaling.LowFreqFactor),
            ("high_freq_factor", scaling.HighFreqFactor),
            ("beta_fast", scaling.BetaFast),
            ("beta_slow", scaling.BetaSlow),
            ("attention_factor", scaling.AttentionFactor),
        ];
        foreach (
            var (name, value) in positive.Where(number => number.Value is { } value && (!(value > 0) || !float.IsFinite((float)value)))
        )
        {
            yield return Number($"rope_scaling.{name}", value!.Value, "positive and finite");
        }

        foreach (var (name, value) in new[] { ("mscale", scaling.Mscale), ("mscale_all_dim", scaling.MscaleAllDim) })
        {
            if (value is { } scale && (!(scale >= 0) || !float.IsFinite((float)scale)))
            {
                yield return Number($"rope_scaling.{name}", scale, "finite and not negative");
            }
        }
    }

    static IEnumerable<string> Relations(ModelConfiguration c, string? expertsField) =>
        Shapes(c).Concat(Lists(c, expertsField)).Concat(Exits(c)).Concat(Pictures(c));

    /// <summary>Lists that have an entry for each of something.</summary>
    static IEnumerable<string> Lists(ModelConfiguration c, string? expertsField)
    {
        if (c.SlidingLayers is { } sliding && sliding.Count != c.NumHiddenLayers)
        {
            yield return $"layer_types has {sliding.Count} entries and num_hidden_layers is {c.NumHiddenLayers}";
        }

        if (c.Experts?.DenseLayers.Where(layer => layer < 0 || layer >= c.NumHiddenLayers).Cast<int?>().FirstOrDefault() is { } wrong)
        {
            yield return $"mlp_only_layers names layer {wrong}, and there are {c.NumHiddenLayers} from 0 on";
        }

        if (c.Experts is { } experts && experts.NumExpertsPerToken > experts.NumExperts)
        {
            yield return $"num_experts_per_tok {experts.NumExpertsPerToken} is more " + $"than {expertsField} {experts.NumExperts}";
        }

        foreach (var (name, factors) in new[] { ("short_factor", c.RopeScaling.ShortFactor), ("long_factor", c.RopeScaling.LongFactor) })
        {
            if (
                factors is not null
                && (factors.Count != c.RotaryDim / 2 || factors.Any(factor => !(factor > 0) || !double.IsFinite(factor)))
            )
            {
                yield return $"rope_scaling.{name} must be {c.RotaryDim / 2} positive numbers, one for two rotated channels of a head";
            }
        }
    }

    static IEnumerable<string> Exits(ModelConfiguration c) =>
        c.EarlyExitLayers.Any(layer => layer < 0 || layer >= c.NumHiddenLayers - 1)
            ? [$"early_exit_layers must be from 0 to below the last of {c.NumHiddenLayers} layers, which count from 0"]
            : [];

    static IEnumerable<string> Shapes(ModelConfiguration c)
    {
        // Products of one input are one: queries, keys and values side by side, or gates and candidates.
        (string Name, long Rows)[] matrices =
        [
            ($"vocab_size {c.VocabSize}", c.VocabSize),
            c.Recurrence is { } recurrence
                ? ($"state_size {recurrence.StateSize}", 2L * recurrence.StateSize)
                : (
                    $"num_attention_heads {c.NumAttentionHeads} of head_dim {c.HeadDim}",
                    (c.NumAttentionHeads + (2L * c.NumKeyValueHeads)) * c.HeadDim
                ),
            ($"intermediate_size {c.IntermediateSize}", 2L * c.IntermediateSize),
        ];
        return (c.Recurrence is null ? Heads(c) : []).Concat(
            matrices
                .Where(matrix => matrix.Rows * c.HiddenSize > int.MaxValue)
                .Select(matrix =>
                    $"{matrix.Name} and hidden_size {c.HiddenSize} make a matrix of {matrix.Rows * c.HiddenSize} "
                    + $"weights, and at most {int.MaxValue} can be computed with"
                )
        );
    }

    static IEnumerable<string> Heads(ModelConfiguration c)
    {
        if (c.NumAttentionHeads % c.NumKeyValueHeads != 0)
        {
            yield return $"num_attention_heads {c.NumAttentionHeads} is not a multiple of num_key_value_heads {c.NumKeyValueHeads}";
        }

        if (c.RotaryDim % 2 != 0 || c.RotaryDim == 0)
        {
            yield return c.PartialRotaryFactor == 1
                ? $"head_dim {c.HeadDim} is odd, and rotary embedding rotates pairs"
                : Number("partial_rotary_factor", c.PartialRotaryFactor, $"such that an even number of {c.HeadDim} channels is rotated");
        }

        if (c.RopeScaling is { Type: RopeType.Llama3 } llama && llama.HighFreqFactor <= llama.LowFreqFactor)
        {
            yield return "rope_scaling.high_freq_factor must be above low_freq_factor";
        }

        if (c is { RopeScaling.Type: RopeType.Yarn, RopeTheta: <= 1 })
        {
            yield return Number("rope_theta", c.RopeTheta, "above 1 with rope_scaling of type \"yarn\"");
        }
    }

    static string Number(string name, double value, string wanted) =>
        string.Create(CultureInfo.InvariantCulture, $"{name} is {value} but must be {wanted}");
}
