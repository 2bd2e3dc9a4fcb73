using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training;

/// <summary>
/// Elastic weight consolidation (Kirkpatrick et al., arXiv 1612.00796, equation 3): weight / 2 · Σ F · (θ − θ*)² is added to the loss of a
/// token, θ* being the weights that the student begins with and F the diagonal of their Fisher information on earlier traces. F is that of
/// a token, so that the penalty with weight 1 is what the loss of a token of the earlier traces grows by, to the second order and as far as
/// the diagonal tells.
/// </summary>
public sealed record Ewc
{
    [InputPath]
    [Description("Folders of trace shards, or Parquet files, of what the student has learned before")]
    public required IReadOnlyList<string> Traces { get; init; }

    /// <value>1,000: the diagonal leaves out what weights do together, which is most of it.</value>
    [Range(0.0, 1e12, ErrorMessage = "must not be negative")]
    [Description("Weight of the penalty; with 1 it counts a token of the earlier traces as much as one that is learned now")]
    public double Weight { get; init; } = 1_000;

    /// <value>256.</value>
    [Range(1, 1_000_000, ErrorMessage = "must be from 1 to 1000000")]
    [Description("Sequences, drawn at random from these traces, that the Fisher information is estimated on")]
    public int FisherSamples { get; init; } = 256;

    /// <value>model.</value>
    [Description("Labels that the Fisher information is estimated with: model, drawn from its own distribution, or empirical, the traces'")]
    public FisherLabels Fisher { get; init; }
}
