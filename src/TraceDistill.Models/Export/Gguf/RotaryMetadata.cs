using TraceDistill.Core.Errors;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>How GGUF says by what angles channels are rotated.</summary>
static class RotaryMetadata
{
    /// <summary>The tensor that divides each frequency.</summary>
    public const string FactorsName = "rope_freqs.weight";

    static readonly RopeScaling Usual = new() { Type = RopeType.Yarn };

    /// <summary>Adds the keys of the base and its scaling.</summary>
    /// <exception cref="InvalidInputException">llama.cpp has no way to say it.</exception>
    public static void Add(GgufMetadata metadata, ModelConfiguration configuration, string file)
    {
        var (prefix, scaling) = ($"{configuration.Family.ModelType()}.rope.", configuration.RopeScaling);
        metadata.Add(prefix + "dimension_count", configuration.HeadDim);
        metadata.Add(prefix + "freq_base", configuration.RopeTheta);
        if (scaling.Type == RopeType.Llama3 && configuration.Family != ModelFamily.Llama)
        {
            throw new InvalidInputException($"{file}: rope_scaling of type llama3 in a {configuration.Family.ModelType()} model: llama.cpp has it for llama alone; export to huggingface");
        }

        if (scaling.Type == RopeType.Yarn && (scaling.BetaFast, scaling.BetaSlow, scaling.Truncate) != (Usual.BetaFast, Usual.BetaSlow, Usual.Truncate))
        {
            throw new InvalidInputException(
                $"{file}: rope_scaling: llama.cpp has YaRN with beta_fast {Usual.BetaFast}, beta_slow {Usual.BetaSlow} and truncate true alone here; export to huggingface");
        }

        if (scaling.Type is RopeType.Linear or RopeType.Yarn)
        {
            metadata.Add(prefix + "scaling.type", scaling.Type == RopeType.Linear ? "linear" : "yarn");
            metadata.Add(prefix + "scaling.factor", scaling.Factor);
        }

        if (scaling.Type == RopeType.Yarn)
        {
            metadata.Add(prefix + "scaling.original_context_length", scaling.OriginalMaxPositionEmbeddings ?? configuration.MaxPositionEmbeddings);

            // llama.cpp sharpens by 0.1 · ln(factor) + 1 on its own, times this.
            metadata.Add(prefix + "scaling.attn_factor", RotaryFrequencies.Of(configuration).Magnitude / (1 + 0.1 * Math.Log(scaling.Factor)));
        }
    }

    /// <summary>What <see cref="FactorsName"/> holds, [head_dim / 2]; null where the keys say it all.</summary>
    public static float[]? Factors(ModelConfiguration configuration)
    {
        if (configuration.RopeScaling.Type != RopeType.Llama3)
        {
            return null;
        }

        var plain = RotaryFrequencies.Of(configuration with { RopeScaling = RopeScaling.None }).Angles;
        return [.. plain.Zip(RotaryFrequencies.Of(configuration).Angles, (unscaled, scaled) => (float)(unscaled / scaled))];
    }
}
