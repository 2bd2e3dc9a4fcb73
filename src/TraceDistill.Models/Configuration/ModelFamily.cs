namespace TraceDistill.Models.Configuration;

/// <summary>The decoders of which this program knows weights and equations; they differ in biases and in norms of queries and keys.</summary>
public enum ModelFamily
{
    /// <summary>Llama 2 and 3, and what was distilled into them.</summary>
    Llama,

    /// <summary>Qwen 2 and 2.5: queries, keys and values have a bias.</summary>
    Qwen2,

    /// <summary>Qwen 3: each head of queries and keys is normalised before it is rotated.</summary>
    Qwen3,
}

/// <summary>Their names in <c>config.json</c>.</summary>
static class ModelFamilies
{
    public static readonly IReadOnlyList<string> Names = [.. Enum.GetValues<ModelFamily>().Select(ModelType)];

    /// <returns>The family whose <c>model_type</c> this is, or null.</returns>
    public static ModelFamily? Parse(string? modelType) =>
        Enum.GetValues<ModelFamily>().Where(family => family.ModelType() == modelType).Cast<ModelFamily?>().FirstOrDefault();

    public static string ModelType(this ModelFamily family) => family.ToString().ToLowerInvariant();

    /// <returns>The class that transformers loads.</returns>
    public static string Architecture(this ModelFamily family) => $"{family}ForCausalLM";
}
