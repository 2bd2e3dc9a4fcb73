using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using TraceDistill.Data.Contracts;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests;

[Trait("Category", "Numeric")]
public class TrainerTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 30,
        HiddenSize = 32,
        IntermediateSize = 32,
        NumHiddenLayers = 2,
        NumAttentionHeads = 2,
        NumKeyValueHeads = 2,
        HeadDim = 16,
        MaxPositionEmbeddings = 64,
        TieWordEmbeddings = true,
    };

    internal static readonly OptimizationOptions Options = new()
    {
        MaxSteps = 30,
        BatchTokens = 120,
        MicroBatchTokens = 40,
        SaveSteps = 7,
        LoggingSteps = 5,
        Workers = 2,
        LearningRate = 1e-2,
    };

    [Theory]
    [InlineData(OptimizerKind.Adamw, ComputeDtype.Float32)]
    [InlineData(OptimizerKind.Muon, ComputeDtype.Float32)]
    [InlineData(OptimizerKind.Muon, ComputeDtype.BFloat16)]
    public void Run_Twice_GivesTheSameBits(OptimizerKind optim, ComputeDtype dtype)
    {
        TestDevice.SkipUnlessBitsRepeat();
        var options = Options with { Optim = optim, ComputeDtype = dtype };
        Assert.Equal(Train(options), Train(options));
    }

    public static TheoryData<OptimizationOptions> Interrupted =>
        new(
            Options,
            Options with
            {
                Optim = OptimizerKind.Muon,
            },
            Options with
            {
                Optim = OptimizerKind.Muon,
                ComputeDtype = ComputeDtype.BFloat16,
            },
            Options with
            {
                Optim = OptimizerKind.Lion,
                LearningRate = 1e-3,
            },
            Options with
            {
                Optim = OptimizerKind.Adamw8bit,
            },
            Options with
            {
                EmaDecay = 0.9,
            },
            Options with
            {
                MasterDtype = MasterDtype.BFloat16,
                EmaDecay = 0.9,
            },
            Options with
            {
                MasterDtype = MasterDtype.BFloat16,
                Optim = OptimizerKind.Muon,
            }
        );

    [Theory]
    [MemberData(nameof(Interrupted), DisableDiscoveryEnumeration = true)]
    public void Run_KilledAndResumed_GivesTheBitsOfAnUninterruptedRun(OptimizationOptions options)
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var folder = new TemporaryDirectory();
        Assert.Throws<InvalidOperationException>(() => Train(options, folder.Path, new CrashAt(17)));

        var steps = new Steps();
        Assert.Equal(Train(options), Train(options, folder.Path, steps));
        Assert.Equal(15, steps.Values[0]); // the first after the checkpoint of step 14
        Assert.Contains("going on from step 14 of 30", steps.Lines);
    }

    [Fact]
    public void Run_AskedToStop_SavesAndGoesOnFromTheVeryStep()
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var folder = new TemporaryDirectory();
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Train(Options, folder.Path, new StopAt(17, stop), stop));

        var steps = new Steps();
        Assert.Equal(Train(Options), Train(Options, folder.Path, steps));
        Assert.Equal(18, steps.Values[0]);
    }

    /// <summary>
    /// The average of the weights after each update, by its formula; a run of t steps has the
    /// weights after t where nothing depends on the number of steps.
    /// </summary>
    [Fact]
    public void Run_WithAverage_EndsWithTheAverageOfAllWeights()
    {
        var (options, plan) = (
            Options with
            {
                LrSchedulerType = LrSchedulerType.Constant,
                WarmupRatio = 0,
            },
            ObjectivePlan.Classic(0.5, 1.5)
        );
        using var initial = new ModelParameters(Shape);
        initial.Initialize(1);
        double[] average = [.. initial.Flat.Span.ToArray().Select(value => (double)value)];
        for (var t = 1; t <= 6; t++)
        {
            var (weights, decay) = (Train(options with { MaxSteps = t }, plan: plan), Math.Min(0.4, (1.0 + t) / (10.0 + t)));
            average = [.. average.Zip(weights, (a, w) => (decay * a) + ((1 - decay) * w))];
        }

        var averaged = Train(options with { MaxSteps = 6, EmaDecay = 0.4 }, plan: plan);

        Assert.All(average.Zip(averaged), pair => Assert.Equal(pair.First, pair.Second, Rounding.Of(6 * 4) * (1 + Math.Abs(pair.First))));
    }

    [Theory]
    [InlineData(DivergencePolicy.Skip, "; its batch is left out")]
    [InlineData(DivergencePolicy.Rollback, "; the weights of step 7 are back, and its batches are left behind")]
    public void Run_BatchWithoutALoss_IsLeftBehind(DivergencePolicy policy, string end)
    {
        var steps = new Steps();
        var weights = Train(Options with { OnDivergence = policy }, observer: steps, spoiled: 10);

        var line = Assert.Single(steps.Lines, text => text.StartsWith("step", StringComparison.Ordinal));
        Assert.StartsWith("step 10: loss Infinity, gradient norm ", line);
        Assert.EndsWith(end, line);
        Assert.All(weights, weight => Assert.True(float.IsFinite(weight)));
        Assert.Equal(30, steps.Values[^1]);
    }

    /// <summary>Weights that are as they were are no result, however few steps were asked for.</summary>
    [Fact]
    public void Run_AllBatchesWithoutALoss_FailsHoweverPatient()
    {
        var options = Options with { MaxSteps = 3, OnDivergence = DivergencePolicy.Skip };
        var plan = new ObjectivePlan { Objectives = [new CrossEntropy(), new SpikedZ(_ => double.PositiveInfinity)] };

        var error = Assert.Throws<Text.Errors.InvalidInputException>(() => Train(options, plan: plan));

        Assert.StartsWith("training diverged: all 3 batches were left out and nothing was learned; lower learning_rate", error.Message);
    }

    /// <summary>Steps whose weights are still 0 are no batches that were left out.</summary>
    [Fact]
    public void Run_BatchWithoutALossAfterManyWithoutAGradient_IsLeftOut()
    {
        var steps = new Steps();
        var growing = new Schedule
        {
            Kind = ScheduleKind.Step,
            From = 0,
            To = 1,
            At = 25.0 / 30,
        };
        var plan = new ObjectivePlan
        {
            Objectives = [new CrossEntropy { Weight = growing }, new SpikedZ(step => step == 24 ? double.PositiveInfinity : 0)],
        };

        Train(Options with { OnDivergence = DivergencePolicy.Skip }, observer: steps, plan: plan);

        var line = Assert.Single(steps.Lines, text => text.StartsWith("step", StringComparison.Ordinal));
        Assert.StartsWith("step 24: loss Infinity", line);
        Assert.EndsWith("; its batch is left out", line);
    }

    [Fact]
    public void Run_BatchWithoutALoss_StopsUnlessToldOtherwise()
    {
        var error = Assert.Throws<Text.Errors.InvalidInputException>(() => Train(Options, spoiled: 10));
        Assert.Matches(
            @"^training diverged at step 10 \(loss Infinity, gradient norm \w+\): lower learning_rate or raise warmup_ratio$",
            error.Message
        );
    }

    /// <summary>After 40 steps the sequences are known; a loss counted five hundredfold is no step of that course.</summary>
    [Fact]
    public void Run_Spike_IsLeftOut()
    {
        var steps = new Steps();
        Train(Options with { MaxSteps = 60, OnDivergence = DivergencePolicy.Skip, SpikeFactor = 3 }, observer: steps, spiked: 40);

        Assert.StartsWith("step 40: loss ", Assert.Single(steps.Lines, text => text.StartsWith("step", StringComparison.Ordinal)));
    }

    [Fact]
    public void Run_RolledBackThenKilled_GivesTheBitsOfAnUninterruptedRun()
    {
        TestDevice.SkipUnlessBitsRepeat();
        var options = Options with { OnDivergence = DivergencePolicy.Rollback };
        using var folder = new TemporaryDirectory();
        Assert.Throws<InvalidOperationException>(() => Train(options, folder.Path, new CrashAt(12), spoiled: 10));

        var steps = new Steps();
        Assert.Equal(Train(options, spoiled: 10), Train(options, folder.Path, steps, spoiled: 10));
        Assert.Equal(12, steps.Values[0]); // the state is saved as soon as it is back
    }

    /// <summary>Learning too fast after it has learned: the weights at the best evaluation are those that it ends with.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Run_BestModelWanted_EndsWithTheWeightsOfTheBestEvaluation(bool isKilled)
    {
        TestDevice.SkipUnlessBitsRepeat();
        var options = Options with
        {
            MaxSteps = 40,
            LearningRate = 0.05,
            LrSchedulerType = LrSchedulerType.Constant,
            MaxGradNorm = 0,
            Optim = OptimizerKind.Lion,
        };
        var plan = new EvaluationPlan(HeldOut(), null, Steps: 4, HeldOutMetric.Ce, LoadBest: true, Patience: 0, Threshold: 0);
        using var folder = new TemporaryDirectory();
        var scores = new Evaluations();
        if (isKilled)
        {
            Assert.Throws<InvalidOperationException>(() => Train(options, folder.Path, new CrashAt(27), evaluation: plan));
        }

        var weights = Train(options, folder.Path, scores, evaluation: plan);
        var all = new Evaluations();
        Assert.Equal(Train(options, observer: all, evaluation: plan), weights);
        var best = all.Values.MinBy(value => value.Ce);

        Assert.Equal(10, all.Values.Count);
        Assert.NotEqual(40, best.Step);
        using var parameters = new ModelParameters(Shape);
        weights.CopyTo(parameters.Flat.Span);
        Assert.Equal(best.Ce, HeldOut().Score(TrainedWeights.All(parameters), 0.5, TestContext.Current.CancellationToken).Ce);
    }

    /// <summary>Whatever the soft targets weigh in each step's own loss, evaluations are of one quantity.</summary>
    [Fact]
    public void Run_ScheduledAlpha_EvaluatesAllStepsWithThatOfTheLastOne()
    {
        var metrics = new AllMetrics();
        var plan = new EvaluationPlan(HeldOut(), null, Steps: 4, HeldOutMetric.Loss, LoadBest: false, Patience: 0, Threshold: 0);

        Train(Options, observer: metrics, evaluation: plan);

        var evaluations = metrics.Values.Where(line => line.Values.ContainsKey("eval_loss")).ToArray();
        Assert.Equal([4, 8, 12, 16, 20, 24, 28, 30], evaluations.Select(line => line.Step));
        var alpha = 0.6;
        Assert.All(evaluations, line =>
            Assert.Equal((alpha * line.Values["eval_kl"]) + ((1 - alpha) * line.Values["eval_ce"]), line.Values["eval_loss"], 1e-12)
        );
    }

    [Fact]
    public void Run_NoBetterForSomeEvaluations_StopsEarly()
    {
        var options = Options with
        {
            MaxSteps = 400,
            LearningRate = 0.05,
            LrSchedulerType = LrSchedulerType.Constant,
            MaxGradNorm = 0,
            Optim = OptimizerKind.Lion,
        };
        var steps = new Steps();
        Train(
            options,
            observer: steps,
            evaluation: new EvaluationPlan(HeldOut(), null, Steps: 4, HeldOutMetric.Ce, LoadBest: false, Patience: 3, Threshold: 0)
        );

        Assert.Equal("stopped early: 3 evaluations without a better ce", BeforeTheEnd(steps.Lines));
        Assert.InRange(steps.Values[^1], 16, 399);
    }

    /// <summary>At the last step there is nothing left to stop.</summary>
    [Fact]
    public void Run_PatienceThatEndsAtTheLastStep_IsNoEarlyStop()
    {
        var steps = new Steps();
        var plan = new EvaluationPlan(null, new Answers([5, 4, 3]), 4, HeldOutMetric.Accuracy, LoadBest: false, Patience: 2, Threshold: 0);

        Train(Options with { MaxSteps = 12 }, observer: steps, evaluation: plan);

        Assert.DoesNotContain(steps.Lines, line => line.StartsWith("stopped early", StringComparison.Ordinal));
    }

    /// <summary>
    /// The model is written, asked and taken away again after every fourth step; the best answers decide which weights stay.
    /// </summary>
    [Fact]
    public void Run_AnswersWanted_EndsWithTheWeightsThatAnsweredBest()
    {
        using var folder = new TemporaryDirectory();
        var answers = new Answers([1, 3, 9, 4, 9, 2]);
        var metrics = new AllMetrics();
        var plan = new EvaluationPlan(null, answers, Steps: 4, HeldOutMetric.Accuracy, LoadBest: true, Patience: 0, Threshold: 0);

        var weights = Train(Options with { MaxSteps = 22 }, folder.Path, metrics, evaluation: plan);

        Assert.Equal(
            [4, 8, 12, 16, 20, 22],
            metrics.Values.Where(line => line.Values.ContainsKey("eval_accuracy")).Select(line => line.Step)
        );
        Assert.Equal(
            [0.1, 0.3, 0.9, 0.4, 0.9, 0.2],
            metrics.Values.Where(line => line.Values.ContainsKey("eval_accuracy")).Select(line => line.Values["eval_accuracy"])
        );
        Assert.Equal(answers.Models[4], MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
        Assert.Equal(
            Enumerable
                .Range(0, 6)
                .Select(i => Path.Combine(folder.Path, "evaluations", $"step-{new[] { 4, 8, 12, 16, 20, 22 }[i]:000000}")),
            answers.Results
        );
        Assert.Empty(Directory.GetDirectories(folder.Path, ".*"));
        Assert.Contains("step 12, generated answers: 9 of 10 correct (90.0 %), 5 tokens each; best at step 12", metrics.Lines);
        Assert.Contains(metrics.Lines, line => line.EndsWith("best at step 20", StringComparison.Ordinal));
    }

    /// <summary>Of no problems no share is correct: that is worse than any number, whenever it comes.</summary>
    [Theory]
    [InlineData(new[] { -1, 3, -1, 5, 4 }, 16, "best at step 16")]
    [InlineData(new[] { 5, -1, -1, 3, 4 }, 4, "best at step 4")]
    [InlineData(new[] { -1, -1, -1, -1, -1 }, 20, "no best one yet")]
    public void Run_MetricIsNoNumber_IsNeverTheBest(int[] correct, int best, string last)
    {
        var answers = new Answers(correct);
        var metrics = new AllMetrics();
        var plan = new EvaluationPlan(null, answers, Steps: 4, HeldOutMetric.Accuracy, LoadBest: true, Patience: 0, Threshold: 0);

        var weights = Train(Options with { MaxSteps = 20 }, observer: metrics, evaluation: plan);

        Assert.Equal(answers.Models[(best / 4) - 1], MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
        Assert.EndsWith(last, BeforeTheEnd(metrics.Lines));
    }

    /// <summary>
    /// Shares of 0.2 to 0.5: the third is better than the first by more than 0.15, and none after it is better than the third by as much.
    /// The threshold decides when it ends; the best weights are those of 0.5 whatever it is.
    /// </summary>
    [Fact]
    public void Run_BetterByLessThanTheThreshold_KeepsTheBestWeightsAndCountsAsStale()
    {
        var answers = new Answers([2, 3, 4, 5, 4, 3]);
        var steps = new Steps();
        var plan = new EvaluationPlan(null, answers, Steps: 4, HeldOutMetric.Accuracy, LoadBest: true, Patience: 2, Threshold: 0.15);

        var weights = Train(Options with { MaxSteps = 40 }, observer: steps, evaluation: plan);

        Assert.Equal(5, answers.Models.Count); // stale: the second; then the fourth and the fifth
        Assert.Equal(answers.Models[3], MemoryMarshal.AsBytes(weights.AsSpan()).ToArray());
        Assert.Equal("stopped early: 2 evaluations without a better accuracy", BeforeTheEnd(steps.Lines));
    }

    /// <summary>
    /// Stopped while it answers, at a step with no checkpoint, and at the very end: nothing
    /// that was learned is lost, and the evaluation comes first when it goes on.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Run_InterruptedWhileItAnswers_GoesOnWithTheEvaluation(int evaluation)
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var folder = new TemporaryDirectory();
        using var stop = new CancellationTokenSource();
        var options = Options with { MaxSteps = 14, SaveSteps = 100, EmaDecay = 0.9 };
        var answers = new Answers([1, 2, 3, 2], evaluation, stop);
        var plan = new EvaluationPlan(null, answers, Steps: 4, HeldOutMetric.Accuracy, LoadBest: false, Patience: 0, Threshold: 0);
        Assert.Throws<OperationCanceledException>(() => Train(options, folder.Path, stop: stop, evaluation: plan));

        var metrics = new AllMetrics();
        var weights = Train(options, folder.Path, metrics, evaluation: plan);

        var whole = new Answers([1, 2, 3, 2]);
        Assert.Equal(Train(options, evaluation: plan with { Answers = whole }), weights);
        Assert.Equal(whole.Models, answers.Models);
        Assert.Equal(whole.Results.Count - evaluation, metrics.Values.Count(line => line.Values.ContainsKey("eval_accuracy")));
    }

    /// <summary>
    /// Stopped while held-out traces are scored, at a step with no checkpoint, at one that has one, and at the very end.
    /// </summary>
    [Theory]
    [InlineData(4, 0)]
    [InlineData(8, 0)]
    [InlineData(14, 0.9)]
    public void Run_InterruptedWhileTracesAreScored_GoesOnWithTheEvaluation(int step, double emaDecay)
    {
        TestDevice.SkipUnlessBitsRepeat();
        using var folder = new TemporaryDirectory();
        using var stop = new CancellationTokenSource();
        var options = Options with { MaxSteps = 14, SaveSteps = 8, EmaDecay = emaDecay };
        var stopping = new Stopping(stop);
        var plan = new EvaluationPlan(HeldOut(), null, Steps: 4, HeldOutMetric.Ce, LoadBest: true, Patience: 0, Threshold: 0);
        var interrupted = plan with { Traces = HeldOut(stopping) };
        var armed = new At(step, () => stopping.IsArmed = true);
        Assert.Throws<OperationCanceledException>(() => Train(options, folder.Path, armed, stop, evaluation: interrupted));

        var (whole, rest) = (new Evaluations(), new Evaluations());
        var expected = Train(options, observer: whole, evaluation: plan);
        Assert.Equal(expected, Train(options, folder.Path, rest, evaluation: plan));

        Assert.Equal(whole.Values.Where(value => value.Step >= step), rest.Values);
    }

    /// <summary>One thread takes a sequence at a time: none is begun after the stop.</summary>
    [Fact]
    public void Score_AskedToStop_BeginsNoOtherForwardPass()
    {
        using var stop = new CancellationTokenSource();
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var stopping = new Stopping(stop) { IsArmed = true };
        var traces = new HeldOutTraces([.. Enumerable.Range(0, 6).Select(Sequence).Select(stopping.Within)], 20, workers: 1);

        Assert.Throws<OperationCanceledException>(() => traces.Score(TrainedWeights.All(parameters), 0.5, stop.Token));

        Assert.Equal(1, stopping.ReadsOnceArmed);
    }

    /// <summary>
    /// At T = 0.05 the soft loss T² · KL is about a twentieth of what it is at T = 1, or of the hard loss: neither jump at step 40 is a
    /// spike, and the loss of step 80, counted five hundredfold, is one still.
    /// </summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(0, 0.05)]
    public void Run_ScheduleJumps_IsNoSpikeAndALaterOneIsFound(double alpha, double temperature)
    {
        var error = Assert.Throws<Text.Errors.InvalidInputException>(() =>
            Train(
                Options with
                {
                    MaxSteps = 90,
                    SpikeFactor = 3,
                },
                plan: new ObjectivePlan
                {
                    Objectives =
                    [
                        new CrossEntropy(),
                        new KlForward { Temperature = Jump(0.05, temperature) },
                        new SpikedZ(step => step == 80 ? 500 : 0),
                    ],
                    KdAlpha = Jump(1, alpha),
                }
            )
        );
        Assert.StartsWith("training diverged at step 80 ", error.Message);

        static Schedule Jump(double from, double to) =>
            new()
            {
                Kind = ScheduleKind.Step,
                From = from,
                To = to,
                At = 39.5 / 89,
            };
    }

    /// <summary>By number, not by name: of three steps around a million the largest stay, and what the user calls alike.</summary>
    [Fact]
    public void Run_CheckpointsToKeep_AreTheLastStepsAndNoOtherFolder()
    {
        using var folder = new TemporaryDirectory();
        string[] others =
        [
            "checkpoint-000005-good",
            "checkpoint-5",
            "checkpoint-",
            "checkpoint-best",
            "checkpoint-+00005",
            "checkpoint-00000005",
        ];
        string[] earlier = ["checkpoint-000003", "checkpoint-999999", "checkpoint-1000000"];
        Array.ForEach([.. others, .. earlier], name => Directory.CreateDirectory(folder.File(name)));

        Train(Options with { MaxSteps = 15, SaveTotalLimit = 3 }, folder.Path);

        string[] kept = ["checkpoint-000014", "checkpoint-999999", "checkpoint-1000000"];
        Assert.Equal(
            [.. others.Concat(kept).Order(StringComparer.Ordinal)],
            Directory.GetDirectories(folder.Path, "checkpoint-*").Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)
        );
    }

    /// <summary>Killed after a file of the checkpoint's model: what is visible is whole, and the next run has it again.</summary>
    [Fact]
    public void Run_KilledWhileACheckpointIsKept_HasTheWholeOneWhenItGoesOn()
    {
        using var folder = new TemporaryDirectory();
        var options = Options with { SaveTotalLimit = 2 };
        Assert.Throws<InvalidOperationException>(() => Train(options, folder.Path, new CrashAt(15)));
        var kept = folder.File("checkpoint-000014");
        var whole = File.ReadAllBytes(Path.Combine(kept, Answers.WeightsFile));

        // As a kill leaves it: the state of step 14 is there, its model is being written.
        Directory.Move(kept, folder.File(TrainingState.ModelName));
        File.WriteAllText(Path.Combine(folder.File(TrainingState.ModelName), Answers.WeightsFile), "half");
        File.WriteAllText(Path.Combine(folder.File(TrainingState.ModelName), "another.tmp"), "");
        Assert.Null(new TrainingState(folder.Path, "this run").Claim());
        Assert.False(Directory.Exists(folder.File(TrainingState.ModelName)));
        Assert.Throws<InvalidOperationException>(() => Train(options, folder.Path, new CrashAt(16)));

        Assert.Equal([Answers.WeightsFile], Directory.GetFiles(kept).Select(Path.GetFileName));
        Assert.Equal(whole, File.ReadAllBytes(Path.Combine(kept, Answers.WeightsFile)));
        Assert.Equal(
            ["checkpoint-000007", "checkpoint-000014"],
            Directory.GetDirectories(folder.Path).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)
        );
    }

    /// <summary>Nothing of a checkpoint is seen under its name before it is whole.</summary>
    [Fact]
    public void Run_CheckpointThatCannotBeWritten_LeavesNothingOfIt()
    {
        using var folder = new TemporaryDirectory();
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var weights = TrainedWeights.All(parameters);
        var error = Assert.Throws<IOException>(() =>
        {
            using var trainer = new Trainer(Options with { SaveTotalLimit = 2 }, weights, SilentObserver.Instance, saveModel: model =>
            {
                Directory.CreateDirectory(model);
                File.WriteAllText(Path.Combine(model, Answers.WeightsFile), "half");
                throw new IOException("the disk is full");
            });
            trainer.Run(
                new BatchStream(
                    new BatchPlan([SequenceSet.Of([.. Enumerable.Range(0, 12).Select(Sequence)])], Options.BatchTokens, seed: 2)
                ),
                ObjectivePlan.Classic(0.5, 1),
                new TrainingState(folder.Path, "this run"),
                TestContext.Current.CancellationToken
            );
        });

        Assert.Equal("the disk is full", error.Message);
        Assert.Empty(Directory.GetDirectories(folder.Path));
    }

    /// <summary>Killed when the state says that the run is finished and the best weights are not deleted yet.</summary>
    [Fact]
    public void Claim_KilledWhileItFinished_DeletesWhatWasNeededToGoOn()
    {
        using var folder = new TemporaryDirectory();
        using var parameters = new ModelParameters(Shape);
        var state = new TrainingState(folder.Path, "this run");
        state.Claim();
        File.WriteAllBytes(folder.File("model.safetensors"), []);
        File.WriteAllText(folder.File("config.json"), "{}");
        state.Finish(new FinishedTraining(30, 1.5));
        state.SaveBest(TrainedWeights.All(parameters), 20);

        Assert.Equal(new FinishedTraining(30, 1.5), new TrainingState(folder.Path, "this run").Claim());

        Assert.Empty(Directory.GetFiles(folder.Path, ".training.best-*"));
    }

    /// <summary>A run that was refused, or killed, before it saved anything does not keep the folder from the next.</summary>
    [Fact]
    public void Claim_AnotherRunThatTrainedNothing_LeavesTheFolderFree()
    {
        using var folder = new TemporaryDirectory();
        Assert.Null(new TrainingState(folder.Path, "a run").Claim());

        Assert.Null(new TrainingState(folder.Path, "another run").Claim());

        Assert.Null(new TrainingState(folder.Path, "another run").Claim());
        File.WriteAllBytes(folder.File("model.safetensors"), []);
        File.WriteAllText(folder.File("config.json"), "{}");
        Assert.Throws<Text.Errors.InvalidInputException>(() => new TrainingState(folder.Path, "a third run").Claim());
    }

    [Fact]
    public void Run_NoVectorsOf256Bits_SaysThatItIsSlow()
    {
        var messages = new Messages();
        Train(Options with { MaxSteps = 1 }, observer: messages);

        var isNarrow = !Vector256.IsHardwareAccelerated && RuntimeInformation.ProcessArchitecture != Architecture.Arm64;
        Assert.Equal(isNarrow, messages.Lines.Any(line => line.StartsWith("no vectors of 256 bits here", StringComparison.Ordinal)));
    }

    [Fact]
    public void Run_StateOfAnotherRun_IsRefusedByName()
    {
        using var folder = new TemporaryDirectory();
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() =>
            Train(Options, folder.Path, new StopAt(17, stop), stop, fingerprint: "another run")
        );

        var error = Assert.Throws<Text.Errors.InvalidInputException>(() => Train(Options, folder.Path));
        Assert.StartsWith($"{folder.Path}: holds a model, finished or not, that was not made by this training", error.Message);
    }

    /// <summary>The sums of another engine have other last bits; another layout does not hold what is needed to resume.</summary>
    [Theory]
    [InlineData("TDSTATE2")]
    [InlineData("TDSTATE3")]
    [InlineData("TDSTATE4")]
    [InlineData("TDSTATE5")]
    public void Run_UnfinishedTrainingOfAnEarlierVersion_IsRefusedByName(string magic)
    {
        using var folder = new TemporaryDirectory();
        File.WriteAllBytes(folder.File(TrainingState.FileName), [.. System.Text.Encoding.ASCII.GetBytes(magic), .. new byte[80]]);

        var error = Assert.Throws<Text.Errors.InvalidInputException>(() => Train(Options, folder.Path));
        Assert.StartsWith($"{folder.Path}: holds a training of an earlier version of this program, which this one cannot", error.Message);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(100_000)]
    public void Run_TruncatedState_IsRefusedByName(int removed)
    {
        using var folder = new TemporaryDirectory();
        var state = folder.File(TrainingState.FileName);
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Train(Options, folder.Path, new StopAt(17, stop), stop));
        File.WriteAllBytes(state, File.ReadAllBytes(state)[..^removed]);

        var error = Assert.Throws<Text.Errors.InvalidInputException>(() => Train(Options, folder.Path));
        Assert.Contains(state, error.Message);
    }

    [Theory]
    [InlineData(MasterDtype.Float32)]
    [InlineData(MasterDtype.BFloat16)]
    public void Run_RepetitiveSequences_LearnsThem(MasterDtype dtype)
    {
        var losses = new Losses();
        Train(Options with { MaxSteps = 150, MasterDtype = dtype }, observer: losses);

        Assert.True(losses.Values[^1] < 0.35 * losses.Values[0], $"{losses.Values[0]} → {losses.Values[^1]}");
    }

    [Theory]
    [InlineData(false, ComputeDtype.Float32)]
    [InlineData(true, ComputeDtype.Float32)]
    [InlineData(true, ComputeDtype.BFloat16)]
    public void Run_AdaptersWithDropoutAndNoiseInterruptedAndResumed_GivesTheBitsOfAnUninterruptedRun(bool useDora, ComputeDtype dtype)
    {
        TestDevice.SkipUnlessBitsRepeat();
        var options = Options with { NeftuneNoiseAlpha = 5, ComputeDtype = dtype };
        using var folder = new TemporaryDirectory();
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() =>
            Train(options, folder.Path, new StopAt(17, stop), stop, trained: model => Adapters(model, useDora))
        );

        var whole = Train(options, trained: model => Adapters(model, useDora));
        Assert.Equal(whole, Train(options, folder.Path, trained: model => Adapters(model, useDora)));
        Assert.NotEqual(whole, Train(options with { Seed = 1 }, trained: model => Adapters(model, useDora)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Run_AdaptersBesideAFrozenModel_LearnAndLeaveItAsItIs(bool useDora)
    {
        using var folder = new TemporaryDirectory();
        using var model = new ModelParameters(Shape with { InitializerRange = 0.2 });
        model.Initialize(1);
        var before = model.Flat.Span.ToArray();
        var weights = Adapters(model, useDora);
        using var adapter = weights.Adapter;
        var losses = new Losses();

        Run(weights, Options with { MaxSteps = 150 }, folder.Path, losses);

        Assert.Equal(before, model.Flat.Span.ToArray());
        Assert.True(losses.Values[^1] < 0.7 * losses.Values[0], $"{losses.Values[0]} → {losses.Values[^1]}");
    }

    internal static TrainedWeights Adapters(ModelParameters model, bool useDora) =>
        TrainedWeights.Of(new LoraAdapter(model, new LoraSettings(4, 8, 0.1, [LoraAdapter.AllLinear], useDora), seed: 3));

    internal static float[] Train(
        OptimizationOptions options,
        string? directory = null,
        IRunObserver? observer = null,
        CancellationTokenSource? stop = null,
        string fingerprint = "this run",
        Func<ModelParameters, TrainedWeights>? trained = null,
        EvaluationPlan? evaluation = null,
        int spoiled = -1,
        int spiked = -1,
        ObjectivePlan? plan = null
    )
    {
        using var folder = new TemporaryDirectory();
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var weights = (trained ?? TrainedWeights.All)(parameters);
        using var adapter = weights.Adapter;
        weights.Weights.HoldAs(options.MasterDtype.ToScalarType());
        Run(weights, options, directory ?? folder.Path, observer, stop, fingerprint, evaluation, spoiled, spiked, plan);
        var end = new float[weights.Weights.Count];
        weights.Weights.Flat.Read(0, end);
        return end;
    }

    static void Run(
        TrainedWeights weights,
        OptimizationOptions options,
        string directory,
        IRunObserver? observer = null,
        CancellationTokenSource? stop = null,
        string fingerprint = "this run",
        EvaluationPlan? evaluation = null,
        int spoiled = -1,
        int spiked = -1,
        ObjectivePlan? plan = null
    )
    {
        var sequences = Enumerable.Range(0, 12).Select(Sequence).ToArray();
        TestDevice.With(weights, () =>
        {
            using var trainer = new Trainer(options, weights, observer ?? SilentObserver.Instance, evaluation, model =>
                Save(weights, model)
            );
            return trainer.Run(
                new BatchStream(new BatchPlan([SequenceSet.Of(sequences)], options.BatchTokens, seed: 2)),
                plan
                    ?? new ObjectivePlan
                    {
                        Objectives =
                        [
                            new CrossEntropy(),
                            new KlForward { Temperature = Schedule.Constant(1.5) },
                            new SpikedZ(step =>
                                step == spoiled ? double.PositiveInfinity
                                : step == spiked ? 500
                                : 0
                            ),
                        ],
                        KdAlpha = Alpha,
                    },
                new TrainingState(directory, fingerprint),
                stop?.Token ?? TestContext.Current.CancellationToken
            );
        });
    }

    /// <summary>The last line but for that on waiting for data, with which every training ends.</summary>
    static string BeforeTheEnd(List<string> lines)
    {
        Assert.StartsWith("waited for data for ", lines[^1]);
        return lines[^2];
    }

    static readonly Schedule Alpha = new()
    {
        Kind = ScheduleKind.Linear,
        From = 0.5,
        To = 0.6,
    };

    /// <summary>The weights alone stand for the model.</summary>
    static void Save(TrainedWeights weights, string model)
    {
        var values = new float[weights.Weights.Count];
        weights.Weights.Flat.Read(0, values);
        Directory.CreateDirectory(model);
        File.WriteAllBytes(Path.Combine(model, Answers.WeightsFile), MemoryMarshal.AsBytes(values.AsSpan()));
    }

    static HeldOutTraces HeldOut(Stopping? stopping = null) =>
        new(
            [.. Enumerable.Range(20, 4).Select(Sequence).Select(sequence => stopping?.Within(sequence) ?? sequence)],
            tokens: 50,
            workers: stopping is null ? 2 : 1
        );

    /// <summary>Steps of one to three through the vocabulary; the teacher is nine tenths sure of the next one.</summary>
    static TraceTokens Sequence(int i)
    {
        int[] ids = [.. Enumerable.Range(0, 20).Select(t => (i + t * (1 + i % 3)) % 30)];
        return new TraceTokens(
            ids,
            3,
            new SoftTargets
            {
                K = 2,
                Ids = [.. ids[3..].SelectMany(id => new[] { id, (id + 1) % 30 })],
                Logprobs = [.. ids[3..].SelectMany(_ => new[] { MathF.Log(0.9f), MathF.Log(0.05f) })],
                Tail = [.. ids[3..].Select(_ => MathF.Log(0.05f))],
            }
        );
    }

    /// <summary>Has so many of ten problems answered correctly by each model that it is given.</summary>
    /// <param name="correct">For each evaluation; −1 for one that has no problems.</param>
    /// <param name="stopped">Number of the evaluation that the user stops once; −1 for none.</param>
    /// <param name="stop">Stops it.</param>
    sealed class Answers(int[] correct, int stopped = -1, CancellationTokenSource? stop = null) : IAnswerEvaluation
    {
        public const string WeightsFile = "weights";
        bool _wasStopped;

        public List<byte[]> Models { get; } = [];

        public List<string> Results { get; } = [];

        public byte[] Digest => [];

        public int Count => 10;

        public Task EnsureFitAsync(string modelDirectory, CancellationToken cancellationToken) => Task.CompletedTask;

        public AnswerScores Score(string modelDirectory, string resultDirectory, CancellationToken cancellationToken)
        {
            if (Models.Count == stopped && !_wasStopped)
            {
                _wasStopped = true;
                stop!.Cancel();
                cancellationToken.ThrowIfCancellationRequested();
            }

            Models.Add(File.ReadAllBytes(Path.Combine(modelDirectory, WeightsFile)));
            Results.Add(resultDirectory);
            var here = correct[Models.Count - 1];
            return here < 0 ? default : new AnswerScores(here, Count, MeanTokens: 5);
        }
    }

    /// <summary>Stops while the soft targets of a sequence are read, once it is armed.</summary>
    sealed class Stopping(CancellationTokenSource stop)
    {
        int _reads;

        public bool IsArmed { get; set; }

        public int ReadsOnceArmed => _reads;

        public TraceTokens Within(TraceTokens sequence) => sequence with { Soft = new Source(this, sequence.Soft!) };

        sealed class Source(Stopping stopping, ISoftTargetSource inner) : ISoftTargetSource
        {
            public long Bytes => inner.Bytes;

            public SoftTargets Read()
            {
                if (stopping.IsArmed)
                {
                    Interlocked.Increment(ref stopping._reads);
                    stopping.Stop();
                }

                return inner.Read();
            }

            public void AppendTo(System.Security.Cryptography.IncrementalHash hash) => inner.AppendTo(hash);
        }

        void Stop() => stop.Cancel();
    }

    sealed class At(int step, Action action) : IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
            if (done == step)
            {
                action();
            }
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) { }
    }

    sealed class AllMetrics : IRunObserver
    {
        public List<(long Step, IReadOnlyDictionary<string, double> Values)> Values { get; } = [];

        public List<string> Lines { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) => Values.Add((step, values));

        public void Message(string text) => Lines.Add(text);
    }

    sealed class StopAt(int step, CancellationTokenSource source) : IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
            if (done == step)
            {
                source.Cancel();
            }
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) { }
    }

    sealed class CrashAt(int step) : IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
            if (done == step)
            {
                throw new InvalidOperationException("the power is gone");
            }
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) { }
    }

    sealed class Evaluations : IRunObserver
    {
        public List<(long Step, double Ce)> Values { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values)
        {
            if (values.TryGetValue("eval_ce", out var ce))
            {
                Values.Add((step, ce));
            }
        }

        public void Message(string text) { }
    }

    sealed class Steps : IRunObserver
    {
        public List<long> Values { get; } = [];

        public List<string> Lines { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null) => Values.Add(done);

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) => Lines.Add(text);
    }

    sealed class Messages : IRunObserver
    {
        public List<string> Lines { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) => Lines.Add(text);
    }

    sealed class Losses : IRunObserver
    {
        public List<double> Values { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null) { }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) => Values.Add(values["loss"]);

        public void Message(string text) { }
    }

    /// <summary>A loss that is nothing but at some steps.</summary>
    sealed record SpikedZ(Func<long, double> FactorAt) : TokenObjective
    {
        public override string Name => "z";

        public override bool NeedsSoftTargets => false;

        public override torch.Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at) =>
            FactorAt(at.Step) is var factor && factor == 0
                ? torch.zeros_like(student.LogPartition)
                : student.LogPartition.Squared() * factor;
    }
}
