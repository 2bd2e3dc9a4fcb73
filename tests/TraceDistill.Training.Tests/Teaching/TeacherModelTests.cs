using System.ComponentModel.DataAnnotations;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using TraceDistill.Training.Tests.Distillation;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Teaching;

/// <summary>A model on disk teaches by its whole distributions.</summary>
public sealed class TeacherModelTests : TrainStageCase
{
    /// <summary>Both models are written in float64 as well: loss and slopes are the dense formula's and its central differences.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void Accumulate_TeacherOfAnotherShape_HasLossAndSlopesOfTheDenseFormula()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var student = SampleSequences.Parameters();
        using var teacher = new ModelParameters(SampleSequences.Shape with { HiddenSize = 48, NumHiddenLayers = 3 });
        teacher.Initialize(9);
        const double Temperature = 1.5;
        var batch = SampleSequences.Create(4);
        var (reference, taught) = (new ReferenceLlama(student), new ReferenceLlama(teacher));
        double[][][] p = [.. batch.Select(sequence => Rows(taught, sequence.Ids))];

        var (totals, gradient) = Accumulate(student, teacher, batch, ObjectivePlan.Classic(0.8, Temperature));

        var tolerance = Rounding.OfBackward(SampleSequences.Shape, 30);
        Assert.Equal(Formula(), totals.Loss, tolerance * totals.Loss);
        Assert.Equal(totals.Tokens, totals.SoftTokens);
        CentralDifferences.Check(gradient, direction => CentralDifferences.Along(reference, student, direction, Formula), tolerance);

        double Formula() =>
            batch
                .Index()
                .Sum(at =>
                {
                    var q = Rows(reference, at.Item.Ids);
                    return Enumerable
                        .Range(at.Item.FirstTrained, at.Item.Trained)
                        .Sum(token =>
                        {
                            double[] t = ReferenceLoss.Softmax([.. p[at.Index][token - 1].Select(value => value / Temperature)]),
                                s = ReferenceLoss.Softmax([.. q[token - 1].Select(value => value / Temperature)]);
                            var kl = t.Zip(s, (a, b) => a * Math.Log(a / b)).Sum();
                            var ce = -Math.Log(ReferenceLoss.Softmax(q[token - 1])[at.Item.Ids[token]]);
                            return (0.8 * Temperature * Temperature * kl) + (0.2 * ce);
                        });
                });
    }

    [Theory]
    [Trait("Category", "Numeric")]
    [InlineData(SoftTargetSampling.None, null)]
    [InlineData(SoftTargetSampling.None, 5)]
    [InlineData(SoftTargetSampling.RandomSampling, null)]
    public void Accumulate_OtherWorkers_GivesTheSameBits(SoftTargetSampling sampling, int? topK)
    {
        using var student = SampleSequences.Parameters();
        using var teacher = SampleSequences.Parameters(SampleSequences.Shape with { NumHiddenLayers = 3 });
        var plan = ObjectivePlan.Classic(0.8, 1) with
        {
            Policy = new TargetPolicy
            {
                Sampling = sampling,
                TopK = topK,
                Seed = 4,
            },
        };
        var batch = SampleSequences.Create(12);

        var (totals, gradient) = Accumulate(student, teacher, batch, plan, workers: 1);
        var (otherTotals, otherGradient) = Accumulate(student, teacher, batch, plan, workers: 3);

        Assert.Equal(gradient, otherGradient);
        Assert.Equal(totals.Loss, otherTotals.Loss);
    }

    [Fact]
    public async Task RunAsync_TextWithoutSoftTargets_LearnsTheTeachersDistributions()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options with { MaxSteps = 40, KdAlpha = Schedule.Constant(0) }, "teacher");
        using var bare = new TraceFolder();
        await bare.WriteAsync(Enumerable.Range(1, 20).Select(index => bare.Create(index) with { Logprobs = null }), dataset: bare.Dataset);
        var options = Options with
        {
            Traces = [bare.Path],
            Tokenizer = Folder.Out("teacher"),
            Teacher = Folder.Out("teacher"),
            KdAlpha = Schedule.Constant(1),
        };

        var summary = await RunAsync(options with { MaxSteps = 60, LearningRate = 1e-2 }, "student");

        Assert.InRange(summary.Loss, 0, 0.2);
    }

    [Fact]
    public async Task RunAsync_InterruptedWithDraws_GoesOnToTheBitsOfAnUninterruptedRun()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "teacher");
        var options = Options with { Teacher = Folder.Out("teacher"), KdSampling = SoftTargetSampling.RandomSampling, Seed = 3 };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        Assert.Equal(await TrainAsync(options, "whole"), await TrainAsync(options, "resumed"));
    }

    [Fact]
    public async Task RunAsync_InterruptedTaid_GoesOnWithItsShareOfTheTeacher()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var options = Options with { Objectives = [new ObjectiveChoice { Taid = new Taid { StepSize = 0.3 } }] };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        Assert.Equal(await TrainAsync(options, "whole"), await TrainAsync(options, "resumed"));
    }

    [Fact]
    public async Task RunAsync_InterruptedBalanceOfGradients_GoesOnWithItsAlpha()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var options = Options with
        {
            KdAlpha = new Schedule { Kind = ScheduleKind.GradientBalance, From = 0.9 },
            LoggingSteps = 3,
        };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        var whole = await TrainAsync(options, "whole");
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.Equal(whole, await TrainAsync(options with { LoggingSteps = 1 }, "told more often"));
        Assert.NotEqual(whole, await TrainAsync(options with { KdAlpha = Schedule.Constant(0.9) }, "constant"));
    }

    /// <summary>Before the first step an adapter changes nothing: its base teaches it what it knows.</summary>
    [Fact]
    public async Task RunAsync_AdaptersTaughtByTheirBase_BeginWithoutADivergence()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "base");
        var options = Tuned with
        {
            LoraR = 3,
            Teacher = Folder.Out("base"),
            KdAlpha = Schedule.Constant(1),
            MaxSteps = 1,
            LearningRate = 1e-9,
        };

        var summary = await RunAsync(options, "tuned");

        Assert.InRange(summary.Loss, -1e-6, 1e-6);
    }

    [Fact]
    public async Task RunAsync_TeacherOfAnotherVocabulary_IsRefused()
    {
        using var other = new TraceFolder("quite other words than those", 300);
        await other.WriteAsync(Enumerable.Range(1, 20).Select(other.Create));
        await RunAsync(Options with { Traces = [other.Path] }, "other");
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { Teacher = Folder.Out("other") }, "student")
        );

        Assert.StartsWith($"teacher: {Folder.Out("other")} does not have the student's vocabulary", error.Message);
        Assert.Contains("score", error.Message);
    }

    [Fact]
    public async Task RunAsync_SequenceLongerThanTheTeachersPositions_IsRefused()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var small = Options with { Architecture = Options.Architecture! with { MaxPositionEmbeddings = 20 }, MaxLength = 20 };
        var lengths = Enumerable
            .Range(1, 20)
            .Select(index => Folder.Create(index))
            .Select(trace => trace.PromptTokenIds.Length + trace.Logprobs!.Count);
        Assert.True(lengths.Max() > 20 && lengths.Min() <= 20, string.Join(' ', lengths));
        await RunAsync(small, "teacher");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { Teacher = Folder.Out("teacher") }, "student")
        );

        Assert.Equal($"teacher: it has 20 positions, and the longest sequence {lengths.Max()} tokens; set max_length: 20", error.Message);
    }

    [Fact]
    public void Validate_SettingsThatDoNotGoTogether_AreRefusedByName()
    {
        var (taught, top) = (Options with { Teacher = "model" }, Options with { Teacher = "model", KdTopK = 5 });
        var drawn = taught with { KdSampling = SoftTargetSampling.RandomSampling };
        TrainOptions With(TrainOptions options, Objective objective) => options with { Objectives = [KnownObjectives.Choice(objective)] };
        Assert.Empty(Refused(taught));
        Assert.Empty(Refused(With(taught, new LogitMse())));
        Assert.Empty(Refused(With(taught, new KlReverse())));
        Assert.Empty(Refused(top with { KdMissingMass = MissingMass.UniformTail }));
        Assert.Empty(Refused(drawn));
        Assert.Empty(Refused(With(drawn, new KlForward())));
        Assert.Empty(Refused(Options with { KdSampling = SoftTargetSampling.SampledTopK }));
        Assert.Equal(["Objectives"], Refused(With(top, new LogitMse())));
        Assert.Equal(["KdSampling"], Refused(Options with { KdSampling = SoftTargetSampling.RandomSampling }));
        Assert.Equal(["KdSampling"], Refused(taught with { KdSampling = SoftTargetSampling.SampledTopK }));
        Assert.Equal(["KdTopK"], Refused(drawn with { KdTopK = 5 }));
        Assert.Equal(["KdSampling"], Refused(With(drawn, new KlReverse())));
        Assert.Equal(["KdSampling"], Refused(drawn with { KdTemperature = Schedule.Constant(2) }));
        Assert.Equal(["KdSampling"], Refused(With(drawn, new KlForward { Temperature = Schedule.Constant(2) })));
        Assert.Equal(["KdSampling"], Refused(With(drawn, new KlForward { TokenWeight = TokenWeight.Gap })));
        Assert.Equal(["KdMissingMass"], Refused(taught with { KdMissingMass = MissingMass.Renormalize }));
        Assert.Equal(["KdMissingMass"], Refused(drawn with { KdMissingMass = MissingMass.Renormalize }));
        Assert.Equal(["KdDraws"], Refused(Options with { KdDraws = 5 }));
        Assert.Equal(["Teacher"], Refused(taught with { KdAlpha = Schedule.Constant(0) }));
        Assert.Equal(["Teacher"], Refused(With(taught, new CrossEntropy())));
        Assert.Equal(["TeacherDtype"], Refused(Options with { TeacherDtype = MasterDtype.BFloat16 }));
        Assert.Equal(["KdUldWeight"], Refused(taught with { KdUldWeight = 1 }));
        Assert.Equal(["Objectives"], Refused(With(taught, new UniversalLogit())));
        Assert.Equal(["KdMinAlignment"], Refused(taught with { KdMinAlignment = 0.5 }));
        Assert.Equal(
            ["KdAlpha"],
            Refused(
                Options with
                {
                    KdAlpha = new Schedule { From = 0.9, To = 0.5 },
                }
            )
        );
        Assert.Equal(["KdAlpha"], Refused(With(Options, new KlForward()) with { KdAlpha = Schedule.Constant(0.5) }));
        Assert.Equal(["KdTemperature"], Refused(With(Options, new CrossEntropy()) with { KdTemperature = Schedule.Constant(2) }));
        var balance = new Schedule { Kind = ScheduleKind.GradientBalance, From = 0.5 };
        Assert.Empty(Refused(Options with { KdAlpha = balance }));
        Assert.Equal(["KdAlpha"], Refused(drawn with { KdAlpha = balance }));
    }

    /// <summary>
    /// Text without soft targets is evaluated on by the teacher's distributions, too: in float32, whatever it teaches in.
    /// </summary>
    [Theory]
    [InlineData(ComputeDtype.Float32)]
    [InlineData(ComputeDtype.BFloat16)]
    public async Task RunAsync_HeldOutText_IsComparedWithTheTeacher(ComputeDtype dtype)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options with { MaxSteps = 40, KdAlpha = Schedule.Constant(0) }, "teacher");
        using var bare = new TraceFolder();
        await bare.WriteAsync(Enumerable.Range(1, 20).Select(index => bare.Create(index) with { Logprobs = null }), dataset: bare.Dataset);
        var options = Options with
        {
            Traces = [bare.Path],
            Student = Folder.Out("teacher"),
            Architecture = null,
            Teacher = Folder.Out("teacher"),
            EvalTraces = bare.Path,
            EvalSteps = 1,
            MetricForBestModel = HeldOutMetric.Kl,
            ComputeDtype = dtype,
            MaxSteps = 1,
            LearningRate = 1e-9,
        };
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken);

        var scores = observer.Values.Single(values => values.ContainsKey("eval_kl"));
        Assert.InRange(scores["eval_kl"], -1e-6, 1e-6);
        Assert.Equal(1, scores["eval_top1"]);
    }

    /// <summary>Worked solutions and text have no soft targets: where nothing else is minimised, their tokens have no loss.</summary>
    [Fact]
    public void Accumulate_SoftObjectiveAloneAndNoSoftTargets_HasNoLossAndNoGradient()
    {
        using var student = SampleSequences.Parameters();
        var weights = TrainedWeights.All(student);
        TraceTokens[] batch = [.. SampleSequences.Create(4).Select(sequence => sequence with { Soft = null })];
        var plan = new ObjectivePlan { Objectives = [new KlForward()] };

        var (loss, norm) = TestDevice.With(weights, () =>
        {
            using var workers = new GradientWorkers(weights, 2, 60);
            var totals = workers.Accumulate(batch, plan.At(TrainingPoint.First) with { Measures = true });
            return (totals.Loss, workers.GradientNorm());
        });

        Assert.Equal((0, 0), (loss, norm));
    }

    static IEnumerable<string> Refused(TrainOptions options) =>
        options.Validate(new ValidationContext(options)).Select(problem => problem.MemberNames.Single());

    static double[][] Rows(ReferenceLlama reference, int[] ids)
    {
        using var scope = NewDisposeScope();
        return [.. reference.Logits(ids).data<double>().ToArray().Chunk(SampleSequences.Shape.VocabSize)];
    }

    static (LossTotals Totals, float[] Gradient) Accumulate(
        ModelParameters student,
        ModelParameters teacher,
        IReadOnlyList<TraceTokens> batch,
        ObjectivePlan plan,
        int workers = 2
    )
    {
        var weights = TrainedWeights.All(student);
        using var model = new TeacherModel(teacher, isOwned: false);
        return TestDevice.With(weights, () =>
        {
            model.MoveTo(weights.Model.Device, ComputeDtype.Float32);
            using var all = new GradientWorkers(weights, workers, 60, teacher: model);
            var totals = all.Accumulate(batch, plan.At(TrainingPoint.First));
            var slopes = new float[weights.Count];
            all.Gradient.Read(0, slopes);
            return (totals, slopes);
        });
    }
}
