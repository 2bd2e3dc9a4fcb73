using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Head;

namespace TraceDistill.Training.Optimization;

/// <summary>One of the lanes that <see cref="GradientWorkers"/> computes a batch in: passes one after another, on one core.</summary>
interface ILane : IDisposable
{
    /// <summary>[trained weights] gradient of the summed loss after <see cref="Run"/>.</summary>
    FloatBuffer Gradient { get; }

    /// <summary>That of the weights of objectives; null where there are none.</summary>
    FloatBuffer? AuxiliaryGradient { get; }

    /// <summary>Sums over the sequences of the last <see cref="Run"/>.</summary>
    LossTotals Totals { get; }

    /// <param name="all">The sequences of the optimizer step.</param>
    /// <param name="pieces">Indices of this lane's, a pass at a time.</param>
    /// <param name="objectives">The loss.</param>
    /// <param name="noise">Seeds that dropout and NEFTune draw from; null for neither.</param>
    void Run(IReadOnlyList<TraceTokens> all, IReadOnlyList<IReadOnlyList<int>> pieces, StepObjectives objectives, UpdateNoise? noise);
}
