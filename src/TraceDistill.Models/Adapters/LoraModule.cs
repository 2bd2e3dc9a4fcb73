namespace TraceDistill.Models.Adapters;

// r = rank, C = outputs, K = inputs

/// <summary>The adapter of one linear layer.</summary>
/// <param name="Index">Among all of them, from 0.</param>
/// <param name="Name">The layer's name, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Columns">C.</param>
/// <param name="Inner">K.</param>
sealed record LoraModule(int Index, string Name, int Columns, int Inner)
{
    /// <summary>Name of the layer's own matrix, [C, K].</summary>
    public string Weight => Name + ".weight";

    /// <summary>Name of A, [r, K].</summary>
    public string A => Name + ".lora_A.weight";

    /// <summary>Name of B, [C, r].</summary>
    public string B => Name + ".lora_B.weight";

    /// <summary>Name of DoRA's magnitudes m, [C].</summary>
    public string Magnitude => Name + ".lora_magnitude_vector";

    /// <summary>[C] lengths of the rows of W₀ + s·B·A after the last <see cref="LoraAdapter.Refresh"/>; with DoRA only.</summary>
    public float[] Norms { get; } = new float[Columns];
}
