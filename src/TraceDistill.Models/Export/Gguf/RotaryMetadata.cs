using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>Form in which GGUF says by what angles channels are rotated.</summary>
static class RotaryMetadata
{
    static readonly RopeScaling Usual = new() { Type = RopeType.Yarn };

    /// <summary>Adds the keys of the base and its scaling.</summary>
    /// <exception cref="InvalidInputException">llama.cpp has no way to say it.</exception>
    public static void Add(GgufMetadata metadata, ModelConfiguration configuration, string architecture, string file)
    {
        var (prefix, scaling) = ($"{architecture}.rope.", configuration.RopeScaling);
        metadata.Add(prefix + "dimension_count", configuration.RotaryDim);
        metadata.Add(prefix + "freq_base", configuration.RopeTheta);
        if (scaling.Type == RopeType.LongRope)
        {
            if (configuration.Family != ModelFamily.Phi3)
            {
                throw new InvalidInputException(
                    $"{file}: rope_scaling of type longrope in a {configuration.Family.ModelType()} model: "
                        + "llama.cpp has it for phi3 alone here; export to huggingface"
                );
            }

            metadata.Add(
                prefix + "scaling.original_context_length",
                scaling.OriginalMaxPositionEmbeddings ?? configuration.MaxPositionEmbeddings
            );
            metadata.Add(prefix + "scaling.attn_factor", RotaryFrequencies.Of(configuration).Magnitude);
        }

        if (scaling.Type == RopeType.Llama3 && architecture != "llama")
        {
            throw new InvalidInputException(
                $"{file}: rope_scaling of type llama3 in a {configuration.Family.ModelType()} model: "
                    + "llama.cpp has it for llama alone; export to huggingface"
            );
        }

        if (
            scaling.Type == RopeType.Yarn
            && (scaling.BetaFast, scaling.BetaSlow, scaling.Truncate) != (Usual.BetaFast, Usual.BetaSlow, Usual.Truncate)
        )
        {
            throw new InvalidInputException(
                $"{file}: rope_scaling: llama.cpp has YaRN with beta_fast {Usual.BetaFast}, "
                    + $"beta_slow {Usual.BetaSlow} and truncate true alone here; export to huggingface"
            );
        }

        if (scaling.Type is RopeType.Linear or RopeType.Yarn)
        {
            metadata.Add(prefix + "scaling.type", scaling.Type == RopeType.Linear ? "linear" : "yarn");
            metadata.Add(prefix + "scaling.factor", scaling.Factor);
        }

        if (scaling.Type == RopeType.Yarn)
        {
            metadata.Add(
                prefix + "scaling.original_context_length",
                scaling.OriginalMaxPositionEmbeddings ?? configuration.MaxPositionEmbeddings
            );

            // llama.cpp sharpens by 0.1 · ln(factor) + 1 on its own, times this.
            metadata.Add(
                prefix + "scaling.attn_factor",
                RotaryFrequencies.Of(configuration).Magnitude / (1 + 0.1 * Math.Log(scaling.Factor))
            );
        }
    }

    /// <summary>Tensors that divide each frequency, [rotated channels / 2], by name; none where the keys say it all.</summary>
    public static IReadOnlyDictionary<string, float[]> Factors(ModelConfiguration configuration)
    {
        var scaling = configuration.RopeScaling;
        switch (scaling.Type)
        {
            case RopeType.LongRope:
                return new Dictionary<string, float[]>
                {
                    ["rope_factors_long.weight"] = [.. scaling.LongFactor!.Select(factor => (float)factor)],
                    ["rope_factors_short.weight"] = [.. scaling.ShortFactor!.Select(factor => (float)factor)],
                };
            case RopeType.Llama3:
                var plain = RotaryFrequencies.Of(configuration with { RopeScaling = RopeScaling.None }).Angles;
                float[] factors =
                [
                    .. plain.Zip(RotaryFrequencies.Of(configuration).Angles, (unscaled, scaled) => (float)(unscaled / scaled)),
                ];
                return new Dictionary<string, float[]> { ["rope_freqs.weight"] = factors };
            default:
                return new Dictionary<string, float[]>();
        }
    }
}
