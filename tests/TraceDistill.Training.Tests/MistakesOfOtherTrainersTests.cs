using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests;

/// <summary>
/// What other distillation trainers were found to get wrong, by its name; what is tested elsewhere has the trait Mistake there.
/// </summary>
[Trait("Category", "Numeric")]
public class MistakesOfOtherTrainersTests
{
    static readonly ModelConfiguration Shape = SampleSequences.Shape;

    /// <summary>Of gradients and losses over sequences of at most 30 tokens.</summary>
    static readonly double Tolerance = Rounding.OfBackward(Shape, 30);

    [Fact]
    public void TeacherAndStudent_OffByOnePosition()
    {
        using var parameters = SampleSequences.Parameters();
        TraceTokens[] right = [.. SampleSequences.Create(4).Select(sequence => Own(parameters, sequence, shift: 0))],
            wrong = [.. right.Select(sequence => Own(parameters, sequence, shift: 1))];

        var own = Accumulate(parameters, right, ObjectivePlan.Classic(1, 1)).Totals;
        var shifted = Accumulate(parameters, wrong, ObjectivePlan.Classic(1, 1)).Totals;

        Assert.InRange(own.Of("kd") / own.Tokens, -Tolerance, Tolerance);
        Assert.True(shifted.Of("kd") / shifted.Tokens > 0.1);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void TemperatureSquared_InTheReportedLossButNotInTheGradient(double temperature)
    {
        using var parameters = SampleSequences.Parameters();
        var (batch, plan) = (SampleSequences.Create(4), ObjectivePlan.Classic(1, temperature));

        var (_, gradient) = Accumulate(parameters, batch, plan);

        // Half of the reported loss's change along the gradient is its length; a factor that is missing would be 4 or 16.
        Assert.Equal(
            Length(gradient),
            Slope(parameters, gradient, () => Accumulate(parameters, batch, plan).Totals.Loss),
            0.02 * Length(gradient)
        );
    }

    [Fact]
    public void CrossEntropyTerm_WithoutGradient()
    {
        using var parameters = SampleSequences.Parameters();
        var batch = SampleSequences.Create(4);

        var soft = Accumulate(parameters, batch, ObjectivePlan.Classic(1, 1)).Gradient;
        var hard = Accumulate(parameters, batch, ObjectivePlan.HardLoss()).Gradient;
        var both = Accumulate(parameters, batch, ObjectivePlan.Classic(0.25, 1)).Gradient;

        Assert.True(Length(hard) > 0);
        float[] expected = [.. soft.Zip(hard, (s, h) => (0.25f * s) + (0.75f * h))];
        Assert.InRange(SampleSequences.Distance(expected, both), 0, 2 * Tolerance);
    }

    [Fact]
    public void Normalisation_OfEachMicroBatch()
    {
        using var parameters = SampleSequences.Parameters();
        var (batch, plan) = (SampleSequences.Create(8), ObjectivePlan.Classic(0.6, 1.5));

        var oneOfEight = Accumulate(parameters, batch, plan, microBatchTokens: 10_000);
        var eightOfOne = Accumulate(parameters, batch, plan, microBatchTokens: 1);

        Assert.Equal(oneOfEight.Totals.Loss, eightOfOne.Totals.Loss, 2 * Tolerance * oneOfEight.Totals.Loss);
        Assert.InRange(SampleSequences.Distance(oneOfEight.Gradient, eightOfOne.Gradient), 0, 2 * Tolerance);
    }

    /// <summary>A student that has the teacher's ratios within the top k, and any mass outside of it, is right about all it is
    /// told.</summary>
    [Fact]
    public void Teacher_RenormalisedOverTopKAgainstAStudentThatIsNot()
    {
        using var parameters = SampleSequences.Parameters();
        TraceTokens[] batch = [.. SampleSequences.Create(4).Select(sequence => Own(parameters, sequence, shift: 0, k: 3, scale: 0.3))];
        var plan = ObjectivePlan.Classic(1, 1, MissingMass.Renormalize);

        var (totals, gradient) = Accumulate(parameters, batch, plan);

        Assert.InRange(totals.Of("kd") / totals.Tokens, -Tolerance, Tolerance);
        Assert.InRange(Length(gradient), 0, Tolerance * Length(Accumulate(parameters, batch, ObjectivePlan.HardLoss()).Gradient));
    }

    [Theory]
    [InlineData(MissingMass.TailBucket)]
    [InlineData(MissingMass.Renormalize)]
    [InlineData(MissingMass.UniformTail)]
    [InlineData(MissingMass.ResidualToLabel)]
    [InlineData(MissingMass.Truncate)]
    public void TruncatedDivergence_GoingNegative(MissingMass policy)
    {
        using var parameters = SampleSequences.Parameters();
        foreach (var scale in new[] { 0.02, 0.3, 0.9, 1 })
        {
            TraceTokens[] batch = [.. SampleSequences.Create(4).Select(sequence => Own(parameters, sequence, shift: 1, k: 3, scale))];

            var totals = Accumulate(parameters, batch, ObjectivePlan.Classic(1, 1, policy)).Totals;

            Assert.True(totals.Of("kd") > 0, $"{policy}, {scale}: {totals.Of("kd")}");
        }
    }

    [Fact]
    public void ZeroProbability_TimesItsLogarithmIsNoNumber()
    {
        using var parameters = SampleSequences.Parameters();
        TraceTokens[] batch =
        [
            .. SampleSequences
                .Create(4)
                .Select(sequence =>
                    sequence with
                    {
                        Soft = SampleSequences.SoftTargetsOf(sequence.Ids, row =>
                            [
                                (sequence.Ids[SampleSequences.Prompt + row], 0),
                                ((sequence.Ids[SampleSequences.Prompt + row] + 1) % 40, double.NegativeInfinity),
                            ]
                        ),
                    }
                ),
        ];

        var (totals, gradient) = Accumulate(parameters, batch, ObjectivePlan.Classic(0.5, 2));

        Assert.True(double.IsFinite(totals.Loss));
        Assert.All(gradient, slope => Assert.True(float.IsFinite(slope)));
    }

    [Theory]
    [InlineData(151_936)]
    [InlineData(262_144)]
    public void LogitMatrices_OfAllTokensAtOnce(int vocabulary) =>
        Assert.InRange(4L * vocabulary * ChunkedHead.RowsOf(vocabulary, TorchSharp.DeviceType.CPU), 1, 128 << 20);

    /// <summary>Words of padding, of which the teacher is sure, take no part.</summary>
    [Fact]
    public void PaddedVocabulary_OfTheTeacher()
    {
        using var student = SampleSequences.Parameters();
        using var teacher = new ModelParameters(Shape with { VocabSize = 64 });
        teacher.Initialize(3);
        foreach (var name in student.Names)
        {
            student.Values(name).CopyTo(teacher.Values(name)); // the rows of the words that both have come first
        }

        teacher.Values("lm_head.weight")[(40 * Shape.HiddenSize)..].Fill(3);
        using var model = new TeacherModel(teacher, isOwned: false);
        TraceTokens[] batch = [.. SampleSequences.Create(4).Select(sequence => sequence with { Soft = null })];

        var totals = Accumulate(student, batch, ObjectivePlan.Classic(1, 1), teacher: model).Totals;

        Assert.InRange(totals.Of("kd") / totals.Tokens, -Tolerance, Tolerance);
    }

    /// <summary>Soft targets that are the student's own, of the token that is predicted or of one beside it.</summary>
    /// <param name="k">The most probable ones.</param>
    /// <param name="scale">Of their probabilities; the tail takes the rest.</param>
    static TraceTokens Own(ModelParameters parameters, TraceTokens sequence, int shift, int k = 40, double scale = 1)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var logits = new ReferenceDecoder(parameters).Logits(sequence.Ids);
        return sequence with { Soft = SampleSequences.SoftTargetsOf(sequence.Ids, row =>
            {
                var at = Math.Min(SampleSequences.Prompt + row - 1 + shift, sequence.Ids.Length - 1);
                return
                [
                    .. ReferenceDecoder
                        .LogSoftmax(logits[at])
                        .Index()
                        .OrderByDescending(word => word.Item)
                        .Take(k)
                        .Select(word => (word.Index, word.Item + Math.Log(scale))),
                ];
            }) };
    }

    static double Length(float[] gradient) => Math.Sqrt(gradient.Sum(slope => (double)slope * slope));

    /// <summary>Change of a function along a gradient at length 1.</summary>
    static double Slope(ModelParameters parameters, float[] gradient, Func<double> function)
    {
        const double Step = 0.02;
        var length = Length(gradient);
        Move(Step);
        var up = function();
        Move(-2 * Step);
        var down = function();
        Move(Step);
        return (up - down) / (2 * Step);

        void Move(double step)
        {
            foreach (var name in parameters.Names)
            {
                var values = parameters.Values(name);
                var first = (int)parameters.OffsetOf(name);
                for (var i = 0; i < values.Length; i++)
                {
                    values[i] += (float)(step * gradient[first + i] / length);
                }
            }
        }
    }

    static (LossTotals Totals, float[] Gradient) Accumulate(
        ModelParameters parameters,
        IReadOnlyList<TraceTokens> batch,
        ObjectivePlan plan,
        int microBatchTokens = 60,
        TeacherModel? teacher = null
    )
    {
        var weights = TrainedWeights.All(parameters);
        return TestDevice.With(weights, () =>
        {
            teacher?.MoveTo(weights.Model.Device, ComputeDtype.Float32);
            using var workers = new GradientWorkers(weights, 2, microBatchTokens, teacher: teacher);
            var totals = workers.Accumulate(batch, plan.At(TrainingPoint.First));
            var slopes = new float[weights.Count];
            workers.Gradient.Read(0, slopes);
            return (totals, slopes);
        });
    }
}
