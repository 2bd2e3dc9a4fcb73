using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>An objective that the program does not have, in one file: it trains, and its gradient is that of its formula.</summary>
[Trait("Category", "Numeric")]
public class NewObjectiveTests
{
    static readonly ObjectiveTerm Term = new("reverse", new ReverseDivergence(), 0, 0.8);

    [Fact]
    public void Accumulate_ObjectiveOfATest_HasTheSlopesOfItsLoss()
    {
        using var parameters = SampleSequences.Parameters();
        using var workers = new GradientWorkers(TrainedWeights.All(parameters), 2, 60);
        var batch = SampleSequences.Create(4);
        var totals = workers.Accumulate(batch, [Term]);
        var gradient = workers.Gradient.Span.ToArray();
        Assert.Equal(0.8 * totals.Of("reverse"), totals.Loss, 1e-12 * Math.Abs(totals.Loss));

        // Along the gradient itself the loss rises by the square of its length: a central difference in float32 shows that to its rounding.
        var length = Math.Sqrt(gradient.Sum(slope => (double)slope * slope));
        const double Step = 1e-2;
        double After(double step)
        {
            using var moved = SampleSequences.Parameters();
            for (var i = 0; i < gradient.Length; i++)
            {
                moved.Flat.Span[i] += (float)(step * gradient[i] / length);
            }

            using var others = new GradientWorkers(TrainedWeights.All(moved), 1, 1_000);
            return others.Accumulate(batch, [Term]).Loss;
        }

        Assert.Equal(length, (After(Step) - After(-Step)) / (2 * Step), 0.01 * length);
    }

    /// <summary>
    /// KL(student ‖ teacher) over the reported tokens and the tail (Gu et al., arXiv 2306.08543, equation 1, for all tokens).
    /// </summary>
    sealed class ReverseDivergence : IObjective
    {
        public bool NeedsSoftTargets => true;

        public Tensor Loss(StudentRows student, TargetRows targets)
        {
            var isAbsent = targets.LogProbabilities.isneginf();
            var difference = (student.LogProbabilities - targets.LogProbabilities).masked_fill(isAbsent, 0);
            return (student.LogProbabilities.exp() * difference).sum(1);
        }
    }
}
