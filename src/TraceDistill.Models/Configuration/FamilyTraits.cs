namespace TraceDistill.Models.Configuration;

/// <summary>
/// In what a family differs from Llama: its names, its equations, and what transformers assumes where config.json is silent.
/// </summary>
/// <remarks>Every property has Llama's value unless it is set: a family is a few lines in <see cref="ModelFamilies"/>.</remarks>
public sealed record FamilyTraits
{
    /// <summary>Its name in <c>config.json</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>The class that transformers loads; a name alone where <see cref="IsRecurrent"/>, for it has none.</summary>
    public required string Architecture { get; init; }

    /// <summary>Beginning of the names of its classifiers.</summary>
    /// <value>That of <see cref="Architecture"/>.</value>
    public string ClassifierPrefix
    {
        get => field ?? Architecture.Replace("ForCausalLM", "", StringComparison.Ordinal);
        init;
    }

    /// <summary>True where layers have a recurrence in place of attention, and so no heads, windows or rotations.</summary>
    public bool IsRecurrent { get; init; }

    /// <summary>Its name in llama.cpp.</summary>
    /// <value><see cref="ModelType"/>.</value>
    public string? GgufArchitecture { get; init; }

    /// <summary>True where queries, keys and values have a bias whatever <c>attention_bias</c> says.</summary>
    public bool HasQueryKeyValueBias { get; init; }

    /// <summary>True where <c>attention_bias</c> means anything.</summary>
    /// <value>True.</value>
    public bool ReadsAttentionBias { get; init; } = true;

    /// <summary>Norms of queries and keys before they are rotated.</summary>
    public QueryKeyNorms QueryKeyNorms { get; init; }

    /// <summary>Where attention and MLP are normalised.</summary>
    public NormPlacement Norms { get; init; }

    /// <summary>True where norms multiply by 1 + w instead of w.</summary>
    public bool NormsAddOne { get; init; }

    /// <summary>True where embeddings are multiplied by √hidden_size.</summary>
    public bool ScalesEmbedding { get; init; }

    /// <summary>The activation of the MLP's gate.</summary>
    public GateActivation Gate { get; init; }

    /// <summary>True where a checkpoint has <c>qkv_proj</c> and <c>gate_up_proj</c> in place of five matrices.</summary>
    public bool FusesProjections { get; init; }

    /// <summary>When a layer sees the last <c>sliding_window</c> tokens alone.</summary>
    public SlidingWindows Windows { get; init; }

    /// <summary>Of so many layers the last sees everything and the others a window; 0 where all layers are alike.</summary>
    public int WindowPattern { get; init; }

    /// <summary>Every so many layers one does not rotate; 0 for none.</summary>
    public int NoRopeInterval { get; init; }

    /// <summary>The names of routed experts in a checkpoint; null where every token takes the one MLP.</summary>
    public ExpertNames? Experts { get; init; }

    /// <summary>
    /// Fields of <c>config.json</c> that are read for this family, and for others change the arithmetic in a way that is not built.
    /// </summary>
    public IReadOnlyList<string> Fields { get; init; } = [];

    /// <summary>Defaults of transformers where <c>config.json</c> is silent.</summary>
    public FamilyDefaults Defaults { get; init; } = new();
}

/// <summary>Where a layer's norms stand.</summary>
public enum NormPlacement
{
    /// <summary>x + f(norm(x)).</summary>
    Before,

    /// <summary>x + norm(f(norm(x))).</summary>
    BeforeAndAfter,

    /// <summary>x + norm(f(x)).</summary>
    After,
}

/// <summary>Norms of queries and keys.</summary>
public enum QueryKeyNorms
{
    None,

    /// <summary>Each head by itself, all with one weight.</summary>
    OfHeads,

    /// <summary>All heads together.</summary>
    OfWidth,
}

/// <summary>The activation of a gated MLP.</summary>
public enum GateActivation
{
    /// <summary>x·σ(x).</summary>
    Silu,

    /// <summary>½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).</summary>
    GeluTanh,
}

/// <summary>Rules by which layers have a sliding window.</summary>
public enum SlidingWindows
{
    /// <summary>No layer has one.</summary>
    None,

    /// <summary>A number in <c>sliding_window</c>.</summary>
    WhereGiven,

    /// <summary><c>use_sliding_window</c>.</summary>
    WhereSwitchedOn,
}

/// <summary>Names of a layer's routed experts: <c>{Block}.gate</c> is the router, <c>{Block}.experts.{i}.{Gate}</c> a projection.</summary>
public sealed record ExpertNames(string Block, string Gate, string Up, string Down)
{
    /// <summary>The field that has their number.</summary>
    public required string CountField { get; init; }
}

/// <summary>Values of transformers' configuration classes.</summary>
public sealed record FamilyDefaults
{
    /// <value>Null: hidden_size / num_attention_heads.</value>
    public int? HeadDim { get; init; }

    /// <value>1e-6.</value>
    public double RmsNormEps { get; init; } = 1e-6;

    /// <value>10,000.</value>
    public double RopeTheta { get; init; } = 10_000;

    /// <value>32,768.</value>
    public int MaxPositionEmbeddings { get; init; } = 32_768;

    public bool TieWordEmbeddings { get; init; }

    public int? SlidingWindow { get; init; }

    /// <summary>The divisor of attention scores, squared.</summary>
    /// <value>Null: the channels of a head.</value>
    public double? QueryPreAttnScalar { get; init; }

    public double? AttentionSoftCap { get; init; }

    public double? LogitSoftCap { get; init; }

    /// <summary>Base of rotations in layers with a window.</summary>
    /// <value>Null: that of all layers.</value>
    public double? LocalRopeTheta { get; init; }

    public int NumExperts { get; init; }

    public int NumExpertsPerToken { get; init; }

    /// <value>Null: intermediate_size.</value>
    public int? ExpertIntermediateSize { get; init; }

    /// <summary>True where the weights of the chosen experts sum to 1.</summary>
    public bool NormalizesTopK { get; init; }
}
