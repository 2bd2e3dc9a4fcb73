using TraceDistill.Data.Determinism;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>Labels that the Fisher information is estimated with.</summary>
public enum FisherLabels
{
    /// <summary>Drawn from the model's own distribution at each token: the Fisher information itself, without bias.</summary>
    Model,

    /// <summary>
    /// Those of the traces: the "empirical Fisher", which is another quantity (Kunstner et al., arXiv 1905.12558), and near 0 where the
    /// model knows the traces by heart.
    /// </summary>
    Empirical,
}

/// <summary>
/// The diagonal of the Fisher information of a token, F = Σ g² / tokens, g being the gradient of log p(y | x) of a whole sequence by the
/// trained weights. Labels y that are drawn token by token from the model, behind the sequence's own tokens, have gradients whose mean is 0
/// and that do not depend on each other: the square of their sum is on average the sum of their squares.
/// </summary>
/// <remarks>Models with experts have the gradient of their load-balancing loss in it.</remarks>
static class FisherInformation
{
    /// <summary>Estimates it at the weights as they are.</summary>
    /// <param name="fisher">[trained weights], written.</param>
    /// <param name="workers">Make the gradients.</param>
    /// <param name="sequences">What it is estimated on, one gradient each.</param>
    /// <param name="labels">Of which labels.</param>
    /// <param name="seed">Of labels that are drawn.</param>
    /// <param name="progress">Invoked with the number of sequences done.</param>
    /// <param name="cancellationToken">Stops between two sequences.</param>
    public static void Estimate(
        FloatBuffer fisher,
        GradientWorkers workers,
        IReadOnlyList<TraceTokens> sequences,
        FisherLabels labels,
        long seed,
        Action<int>? progress = null,
        CancellationToken cancellationToken = default
    )
    {
        using var noGrad = no_grad();
        fisher.Clear();
        var tokens = 0L;
        foreach (var (index, sequence) in sequences.Index())
        {
            cancellationToken.ThrowIfCancellationRequested();
            TokenObjective objective = labels == FisherLabels.Model ? new DrawnLabels(seed, index) : new CrossEntropy();
            var at = new TrainingPoint(index, sequences.Count);
            var objectives = new StepObjectives([new ObjectiveTerm(objective, 1, 1)], new TargetPolicy(), at);
            tokens += workers.Accumulate([sequence with { Soft = null }], objectives).Tokens;
            using var scope = NewDisposeScope();
            fisher.Vector.addcmul_(workers.Gradient.Vector, workers.Gradient.Vector, One);
            progress?.Invoke(index + 1);
        }

        fisher.Vector.Scale(1.0 / tokens);
    }

    static readonly TorchSharp.Scalar One = 1.0;

    /// <summary>−log q of a token that is drawn from q at each place of one sequence.</summary>
    sealed record DrawnLabels : TokenObjective
    {
        SplitMix64 _keys;

        public DrawnLabels(long seed, long sequence) => _keys = new SplitMix64(new SplitMix64((ulong)seed).Next() ^ (ulong)sequence);

        public override string Name => "drawn_labels";

        public override bool NeedsSoftTargets => false;

        public override bool NeedsAllLogits => true;

        /// <remarks>Chunks come in order: a sequence by itself is one piece of one lane.</remarks>
        public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
        {
            ulong[] keys = [.. Enumerable.Range(0, targets.Rows).Select(_ => _keys.Next())];
            var (drawn, _) = DrawnTargets.Draw(student.AllLogits.detach(), keys, 1); // [R, 1]
            return student.LogPartition - student.AllLogits.gather(1, drawn).squeeze(1);
        }
    }
}
