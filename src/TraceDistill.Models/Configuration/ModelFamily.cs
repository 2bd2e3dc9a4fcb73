namespace TraceDistill.Models.Configuration;

/// <summary>The families of decoders that are known; <see cref="ModelFamilies"/> has in what each differs from Llama.</summary>
public enum ModelFamily
{
    /// <summary>Llama 2 and 3, and what was distilled into them.</summary>
    Llama,

    /// <summary>Qwen 2 and 2.5.</summary>
    Qwen2,

    Qwen3,

    /// <summary>Mistral 7B and its like.</summary>
    Mistral,

    /// <summary>Phi-3 and Phi-4.</summary>
    Phi3,

    Gemma2,

    /// <summary>The text model of Gemma 3.</summary>
    Gemma3,

    /// <summary>OLMo 2.</summary>
    Olmo2,

    SmolLM3,

    /// <summary>Qwen 3 with experts.</summary>
    Qwen3Moe,

    Mixtral,

    /// <summary>minGRU, a recurrent model of constant memory.</summary>
    MinGru,
}
