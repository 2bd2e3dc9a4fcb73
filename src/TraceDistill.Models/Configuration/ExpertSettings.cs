namespace TraceDistill.Models.Configuration;

/// <summary>A model's routed experts, in the words of <c>config.json</c>.</summary>
public sealed record ExpertSettings
{
    /// <summary>Experts of a layer (<c>num_experts</c>, <c>num_local_experts</c>).</summary>
    public required int NumExperts { get; init; }

    /// <summary>Experts that a token goes to (<c>num_experts_per_tok</c>).</summary>
    public required int NumExpertsPerToken { get; init; }

    /// <summary>Width of one expert (<c>moe_intermediate_size</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>True where the weights of the chosen experts are made to sum to 1 (<c>norm_topk_prob</c>).</summary>
    public required bool NormalizesTopK { get; init; }

    /// <summary>Weight of the load-balancing loss (<c>router_aux_loss_coef</c>).</summary>
    /// <value>0.001.</value>
    public double RouterLossWeight { get; init; } = 0.001;

    /// <summary>Every so many layers one has experts (<c>decoder_sparse_step</c>).</summary>
    /// <value>1.</value>
    public int SparseStep { get; init; } = 1;

    /// <summary>Layers that have an MLP and no experts all the same (<c>mlp_only_layers</c>).</summary>
    public IReadOnlyList<int> DenseLayers { get; init; } = [];
}
