namespace TraceDistill.Models.Configuration;

/// <summary>Differences between the attention of a model's layers.</summary>
/// <param name="Window">The tokens that a query sees, itself included; null for all before it.</param>
/// <param name="IsRotated">True where queries and keys are rotated by their positions.</param>
/// <param name="IsLocal">True where that is done with the frequencies of layers with a window.</param>
public readonly record struct LayerAttention(int? Window, bool IsRotated = true, bool IsLocal = false);
