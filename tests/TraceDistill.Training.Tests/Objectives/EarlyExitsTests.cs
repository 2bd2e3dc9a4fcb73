using System.ComponentModel.DataAnnotations;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Distillation;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Objectives;

/// <summary>Layers that are exits learn from the last one.</summary>
public sealed class EarlyExitsTests : TrainStageCase
{
    static readonly ModelConfiguration Shape = SampleSequences.Shape with { NumHiddenLayers = 3 };

    /// <summary>Loss and slopes are those of the formula, in which the last layer is a constant, and of its central differences.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void Accumulate_TwoExits_HasLossAndSlopesOfTheFormula()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var student = SampleSequences.Parameters(Shape);
        var weights = TrainedWeights.All(student);
        var batch = SampleSequences.Create(4);
        var exits = new EarlyExits
        {
            Layers = [0, 1],
            Weight = Schedule.Constant(0.6),
            Alpha = 0.75,
            Temperature = 2,
        };
        var plan = new ObjectivePlan { Objectives = [new CrossEntropy { Weight = Schedule.Constant(0.5) }], Exits = exits };

        var (totals, gradient) = TestDevice.With(weights, () =>
        {
            using var workers = new GradientWorkers(weights, 2, 60);
            var sums = workers.Accumulate(batch, plan.At(TrainingPoint.First));
            var slopes = new float[weights.Count];
            workers.Gradient.Read(0, slopes);
            return (sums, slopes);
        });

        var reference = new ReferenceLlama(student);
        double[][][] last = [.. batch.Select(sequence => Rows(sequence, 2))];
        var tolerance = Rounding.OfBackward(Shape, 30);
        Assert.Equal(Formula(), totals.Loss, tolerance * totals.Loss);
        Assert.True(totals.Of("exit0_kd") > 0 && totals.Of("exit1_ce") > 0);
        CentralDifferences.Check(gradient, direction => CentralDifferences.Along(reference, student, direction, Formula), tolerance);

        double Formula() =>
            batch
                .Index()
                .Sum(at => (0.5 * Hard(at.Item, Rows(at.Item, 2))) + (0.3 * (Exit(at.Item, at.Index, 0) + Exit(at.Item, at.Index, 1))));

        double Exit(TraceTokens sequence, int index, int layer)
        {
            var logits = Rows(sequence, layer);
            var soft = logits.Zip(last[index], (q, p) => Divergence(p, q)).Sum();
            return (0.75 * 4 * soft) + (0.25 * Hard(sequence, logits));
        }

        static double Hard(TraceTokens sequence, double[][] logits) =>
            -logits.Index().Sum(row => Math.Log(ReferenceLoss.Softmax(row.Item)[sequence.Ids[sequence.FirstTrained + row.Index]]));

        static double Divergence(double[] teacher, double[] student)
        {
            double[] p = ReferenceLoss.Softmax([.. teacher.Select(value => value / 2)]),
                q = ReferenceLoss.Softmax([.. student.Select(value => value / 2)]);
            return p.Zip(q, (a, b) => a * Math.Log(a / b)).Sum();
        }

        // Logits of the trained tokens after a layer: norm and output matrix by hand.
        double[][] Rows(TraceTokens sequence, int layer)
        {
            using var inner = NewDisposeScope();
            reference.Forward(sequence.Ids);
            double[][] streams = [.. reference.Streams[layer + 1].data<double>().ToArray().Chunk(Shape.HiddenSize)];
            double[] norm = [.. reference.Weight("model.norm.weight").data<double>().ToArray()];
            double[][] output = [.. reference.Weight("lm_head.weight").data<double>().ToArray().Chunk(Shape.HiddenSize)];
            return
            [
                .. Enumerable
                    .Range(sequence.FirstTrained - 1, sequence.Trained)
                    .Select(row =>
                    {
                        var root = Math.Sqrt(streams[row].Average(x => x * x) + Shape.RmsNormEps);
                        double[] x = [.. streams[row].Zip(norm, (value, factor) => value / root * factor)];
                        return output.Select(word => word.Zip(x, (a, b) => a * b).Sum()).ToArray();
                    }),
            ];
        }
    }

    [Fact]
    public async Task RunAsync_InterruptedOrWithOtherWorkers_EndsWithTheSameBits()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var options = Options with { EarlyExits = new EarlyExits { Layers = [0] } };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        var whole = await TrainAsync(options, "whole");
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.Equal(whole, await TrainAsync(options with { Workers = 1 }, "one worker"));
        Assert.Equal(whole, await TrainAsync(options with { GradientCheckpointing = true }, "less memory"));
        Assert.NotEqual(whole, await TrainAsync(options with { EarlyExits = null }, "without exits"));
    }

    [Fact]
    public async Task RunAsync_ExitThatIsTheLastLayer_IsRefusedInOneLine()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { EarlyExits = new EarlyExits { Layers = [0, 1] } }, "student")
        );

        Assert.Equal("early_exits: layers: 1 is not below the student's last layer, 1", error.Message);
    }

    /// <summary>What goes on without its exits has none that are worth leaving at.</summary>
    [Fact]
    public async Task RunAsync_Exits_AreNamedInTheModelUntilItGoesOnWithoutThem()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));

        await RunAsync(Options with { EarlyExits = new EarlyExits { Layers = [0] } }, "base");
        await RunAsync(Tuned, "further");

        Assert.Equal([0], ModelConfiguration.Load(Folder.Out("base")).EarlyExitLayers);
        Assert.Empty(ModelConfiguration.Load(Path.Combine(Folder.Out("base"), TrainStage.InitialDirectory)).EarlyExitLayers);
        Assert.Empty(ModelConfiguration.Load(Folder.Out("further")).EarlyExitLayers);
        Assert.Equal([0], ModelConfiguration.Load(Path.Combine(Folder.Out("further"), TrainStage.InitialDirectory)).EarlyExitLayers);
    }

    [Fact]
    public void Validate_ExitsThatAreNone_AreRefused()
    {
        Assert.Empty(Problems(new EarlyExits { Layers = [1] }));
        Assert.Single(Problems(new EarlyExits()));
        Assert.Single(Problems(new EarlyExits { Layers = [1, 1] }));
        Assert.Single(Problems(new EarlyExits { Layers = [-1] }));
        Assert.Single(Problems(new EarlyExits { Layers = [1], Weight = Schedule.Constant(-1) }));
        Assert.Single(Problems(new EarlyExits { Layers = [1], Weight = Schedule.Constant(0) }));

        static IEnumerable<ValidationResult> Problems(EarlyExits exits) => exits.Validate(new ValidationContext(exits));
    }
}
