using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Optimization;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>
/// An objective that the program does not have, in one file: it trains, and loss and gradient are those of its formula in
/// float64 and of the formula's central differences, over a decoder that is written in float64 as well.
/// </summary>
[Trait("Category", "Numeric")]
public class NewObjectiveTests
{
    const double Weight = 0.8;
    static readonly ObjectivePlan Plan = new() { Objectives = [new ReverseDivergence { Weight = Schedule.Constant(Weight) }] };

    /// <summary>Of sequences of at most 30 tokens.</summary>
    static readonly double Tolerance = Rounding.OfBackward(SampleSequences.Shape, 30);

    [Fact]
    public void Accumulate_ObjectiveOfATest_HasLossAndSlopesOfItsFormula()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var parameters = SampleSequences.Parameters();
        var weights = TrainedWeights.All(parameters);
        var batch = SampleSequences.Create(4);
        var reference = new ReferenceLlama(parameters);

        var (totals, gradient) = TestDevice.With(weights, () =>
        {
            using var workers = new GradientWorkers(weights, 2, 60);
            var sums = workers.Accumulate(batch, Plan.At(TrainingPoint.First));
            var slopes = new float[weights.Count];
            workers.Gradient.Read(0, slopes);
            return (sums, slopes);
        });

        Assert.Equal(Formula(), totals.Of("reverse"), Tolerance * totals.Of("reverse"));
        Assert.Equal(Weight * totals.Of("reverse"), totals.Loss, 1e-12 * totals.Loss);
        var length = Math.Sqrt(gradient.Sum(slope => (double)slope * slope));
        double[] along = [.. gradient.Select(slope => slope / length)];
        Assert.Equal(length, Difference(along), Tolerance * length);
        CentralDifferences.Check(gradient, Difference, Tolerance);

        double Formula() => batch.Sum(sequence => Divergence(Logits(sequence.Ids), sequence));

        double[][] Logits(int[] ids)
        {
            using var inner = NewDisposeScope();
            return [.. reference.Logits(ids).data<double>().ToArray().Chunk(SampleSequences.Shape.VocabSize)];
        }

        double Difference(double[] direction) => Weight * CentralDifferences.Along(reference, parameters, direction, Formula);
    }

    /// <summary>Σ q·log(q / p) over the reported tokens, and the same of all others together.</summary>
    static double Divergence(double[][] logits, TraceTokens sequence)
    {
        var soft = sequence.Soft!.Read();
        return Enumerable
            .Range(0, sequence.Trained)
            .Sum(row =>
            {
                var q = ReferenceLoss.Softmax(logits[sequence.FirstTrained + row - 1]);
                var reported = Enumerable.Range(row * soft.K, soft.K).ToArray();
                var rest = 1 - reported.Sum(entry => q[soft.Ids[entry]]);
                return reported.Sum(entry => q[soft.Ids[entry]] * (Math.Log(q[soft.Ids[entry]]) - soft.Logprobs[entry]))
                    + (rest * (Math.Log(rest) - soft.Tail[row]));
            });
    }

    /// <summary>
    /// KL(student ‖ teacher) over the reported tokens and the tail (Gu et al., arXiv 2306.08543, equation 1, for all tokens).
    /// </summary>
    sealed record ReverseDivergence : TokenObjective
    {
        public override string Name => "reverse";

        public override bool NeedsSoftTargets => true;

        public override Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at)
        {
            var isAbsent = targets.LogProbabilities.isneginf();
            var difference = (student.LogProbabilities - targets.LogProbabilities).masked_fill(isAbsent, 0);
            return (student.LogProbabilities.exp() * difference).sum(1);
        }
    }
}
