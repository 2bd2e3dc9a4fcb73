using TraceDistill.Inference.Kernels;

namespace TraceDistill.Inference.Weights;

/// <summary>The router and the experts of one layer.</summary>
sealed class ExpertMatrices : IDisposable
{
    /// <param name="source">Gives the weights.</param>
    /// <param name="prefix">Of the layer's names.</param>
    public ExpertMatrices(IWeightSource source, string prefix)
    {
        var (names, count) = (source.Configuration.Traits.Experts!, source.Configuration.Experts!.NumExperts);
        Router = source.ReadMatrix($"{prefix}{names.Block}.gate.weight");
        string[] experts = [.. Enumerable.Range(0, count).Select(i => $"{prefix}{names.Block}.experts.{i}.")];
        GateUp = [.. experts.Select(expert => source.ReadMatrix($"{expert}{names.Gate}.weight", $"{expert}{names.Up}.weight"))];
        Down = [.. experts.Select(expert => source.ReadMatrix($"{expert}{names.Down}.weight"))];
    }

    /// <summary>Hidden → a score for each expert.</summary>
    public PackedMatrix Router { get; }

    /// <summary>Hidden → [gate | up], by expert.</summary>
    public IReadOnlyList<PackedMatrix> GateUp { get; }

    public IReadOnlyList<PackedMatrix> Down { get; }

    public void Dispose()
    {
        Router.Dispose();
        foreach (var matrix in GateUp.Concat(Down))
        {
            matrix.Dispose();
        }
    }
}
