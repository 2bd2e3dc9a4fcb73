using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Export;

/// <summary>Weights that were trained for a quantised type, and what an export makes of them.</summary>
/// <param name="Type">The type; none for a model that was not.</param>
/// <param name="HasAdapter">True where something is merged into them.</param>
readonly record struct TrainedBlocks(QuantizationAware Type, bool HasAdapter)
{
    const string Exact = "F32";

    /// <summary>Returns whether they are on the type's blocks still once they are stored as <paramref name="stored"/>.</summary>
    public bool AreKept(string stored) => !HasAdapter && (stored == Exact || stored == Type.ToString());

    /// <summary>One line on what storing them does; null where it does nothing, or they were trained for none.</summary>
    /// <param name="stored">Name of a type, by GGUF's names.</param>
    /// <param name="advice">What would keep them.</param>
    public string? Note(string stored, string advice) =>
        Type == QuantizationAware.None ? null
        : HasAdapter ? $"the model was trained for {Type}; the adapter takes its weights off the blocks of that type"
        : stored == Exact ? null
        : AreKept(stored) ? $"the model was trained for {Type}: its weights are there as they are"
        : $"the model was trained for {Type}, and {stored} rounds its weights once more: take {advice}";
}
